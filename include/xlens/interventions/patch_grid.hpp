// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/interventions/patch_metric.hpp>
#include <xlens/interventions/patch_values.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/trace/keep_sites.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/interventions/put_heads.hpp>
#include <xlens/kernels/finite.hpp>
#include <xlens/model/branches.hpp>
#include <xlens/model/state.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#endif

namespace xlens {

/// What a grid of patched runs is asked for.
struct patch_grid_options {
    patch_metric metric = {};
    std::vector<std::size_t> positions = {};  ///< of the prompt; none: all that have values
    /// Rows that run together: memory of some 4·(8·D + F) bytes a row against the share of time
    /// in which weights are decoded.
    std::size_t batch = 512;
    progress_function progress = {};  ///< counts patched runs
};

/// The metric of a prompt's runs with something of another's: each with one vector, at one place
/// and position, or each with one head of a layer, at all the positions together.
struct patch_grid_result {
    std::vector<layer_site> places;
    std::vector<std::size_t> positions;
    std::size_t heads = 0;          ///< H of a grid of head_outputs, whose columns they are; else 0
    xt::xtensor<double, 2> metric;  ///< (places, columns): columns are positions, or heads
    double prompt = 0.0;            ///< of the prompt as it is
    std::optional<double> source;   ///< of the source, where the values are a prompt's
    double rounding = 0.0;          ///< what a difference of two values may be by rounding

    /// Whether source and prompt differ by more than rounding.
    [[nodiscard]] bool has_scale() const { return source && std::abs(*source - prompt) > rounding; }
    /// (metric - prompt)/(source - prompt): 0 where the patch does nothing, 1 where it does as much
    /// as another prompt; nothing unless has_scale().
    [[nodiscard]] std::optional<double> normalised(std::size_t place, std::size_t column) const {
        if (!has_scale()) { return std::nullopt; }
        return (metric(place, column) - prompt) / (*source - prompt);
    }
    [[nodiscard]] std::size_t columns() const { return metric.shape(1); }
};

namespace detail {
XLENS_API patch_grid_result patch_grid_with(const transformer<>& model,
                                            std::span<const token_id> prompt,
                                            const patch_values& values,
                                            const patch_grid_options& options,
                                            dynamic_policies& edits);
}  // namespace detail

/// Runs `prompt` once for each place of `values` and each position, with that one vector in the
/// place of the prompt's own (activation patching; Vig et al. 2020, Meng et al. 2022), and reads
/// the metric from the last position's logits. Of the site head_outputs, which is asked for alone,
/// once for each layer and head, with that head's d numbers of another's at all the positions
/// together (Wang et al. 2022, 2211.00593).
///
/// With the bits of whole passes with interventions/patch.hpp, for less: a patch at layer l and
/// position p leaves all layers below l and all positions before p as they were, so a run goes on
/// from the prompt's saved residuals at layer l + 1, over positions p to the last, and the runs of
/// a layer go together in batches (model/branches.hpp). For all L layers and T positions that is
/// about a quarter of the rows of L·T passes, and one read-out each; where a vector is the prompt's
/// own bit for bit, as before the first token in which two prompts differ, nothing is run. With a
/// head at layer l it goes on from layer l, over the first position that changes to the last.
/// Edits run in every pass, that of the prompt as it is too, and before what is patched there: give
/// them to source_values or mean_values as well, and it is the edited model that is patched.
/// Throws xlens::error for a prompt whose length is not that of `values`, a position without values
/// or given twice, a metric that does not fit, and head_outputs beside another site; for edits that
/// do not look at each row for itself (is_rowwise) or that change what is behind the last layer;
/// and where a residual that is read is no number.
template <class... P>
[[nodiscard]] patch_grid_result patch_grid(const transformer<>& model,
                                           std::span<const token_id> prompt,
                                           const patch_values& values,
                                           const patch_grid_options& options = {}, P&... edits) {
    dynamic_policies pack = dynamic_policies::of(edits...);
    return detail::patch_grid_with(model, prompt, values, options, pack);
}

#if XLENS_DEFINES(interventions)

namespace detail {

/// The sites of a pass after which nothing of a layer is left to do: what enters layer l, for l
/// from 0 to L.
inline std::vector<layer_site> borders(std::size_t layers) {
    std::vector<layer_site> out{{hook::embedding, 0}};
    for (std::size_t l = 0; l < layers; ++l) { out.push_back({hook::after, l}); }
    return out;
}

class patched_runs {
public:
    patched_runs(const transformer<>& model, std::span<const token_id> prompt,
                 const patch_values& values, const patch_grid_options& options,
                 dynamic_policies& edits)
        : m_model(model),
          m_values(values),
          m_options(options),
          m_edits(edits),
          m_layers(model.blocks.size()),
          m_border(borders(m_layers)),
          m_heads(head_sites(values.places)),
          m_state(model.start()) {
        model.forward(m_state, prompt, edits, m_border, m_heads);
    }
    [[nodiscard]] std::span<const float> logits() const {
        return {m_state.logits.data(), m_state.logits.size()};
    }

    /// Fills out.metric.
    void run(const metric_reader& metric, patch_grid_result& out) {
        if (out.heads > 0) {
            for (std::size_t i = 0; i < out.places.size(); ++i) {
                run_all(out.places[i].layer, cells_of_heads(i, out), metric, out);
            }
            return;
        }
        for (std::size_t start = 0; start <= m_layers; ++start) {
            std::vector<cell> cells;
            for (std::size_t i = 0; i < out.places.size(); ++i) {
                if (start_of(out.places[i]) == start) { enter(i, out.positions, cells); }
            }
            // A run that goes on with the prompt's own bits is the prompt's own.
            const auto moved = std::ranges::stable_partition(cells, [&](const cell& c) {
                const auto own = m_border.kept(start)[c.position];
                return std::memcmp(own.data(), c.x.data(), own.size_bytes()) == 0;
            });
            const auto same = static_cast<std::size_t>(moved.begin() - cells.begin());
            for (const cell& c : std::span(cells).first(same)) {
                out.metric(c.place, c.column) = out.prompt;
            }
            count_done(same, out);
            run_all(start, std::span(cells).subspan(same), metric, out);
        }
    }

private:
    /// One patched run: its place and column, by number, the first position that changes, and the
    /// residual x (D) with which that enters the first layer that all later positions run. Of a
    /// head that is the layer of its place, which the prompt's own residual enters: no x.
    struct cell {
        std::size_t place = 0;
        std::size_t column = 0;
        std::size_t position = 0;
        std::vector<float> x;
    };

    void run_all(std::size_t start, std::span<const cell> cells, const metric_reader& metric,
                 patch_grid_result& out) {
        for (std::size_t done = 0; done < cells.size();) {
            const std::size_t count = batch_of(start, cells.subspan(done));
            finish(start, cells.subspan(done, count), metric, out);
            done += count;
            count_done(count, out);
        }
    }
    void count_done(std::size_t count, const patch_grid_result& out) {
        m_done += count;
        m_options.progress(m_done, out.metric.size());
    }

    /// A layer's heads that differ from the prompt's own; the others have its metric.
    [[nodiscard]] std::vector<cell> cells_of_heads(std::size_t place, patch_grid_result& out) {
        const std::size_t size = m_model.config.head_size;
        const rows<const float> own = m_heads.kept(place);  // all places are of heads
        std::vector<cell> cells;
        for (std::size_t h = 0; h < out.heads; ++h) {
            std::size_t first = length();
            for (const std::size_t p : out.positions) {
                const auto theirs = m_values.at(place, p).subspan(h * size, size);
                check_numbers(theirs);
                const auto ours = own[p].subspan(h * size, size);
                const bool moved = std::memcmp(ours.data(), theirs.data(), ours.size_bytes()) != 0;
                if (moved) { first = std::min(first, p); }
            }
            if (first < length()) {
                cells.push_back({place, h, first, {}});
            } else {
                out.metric(place, h) = out.prompt;
                count_done(1, out);
            }
        }
        return cells;
    }
    static void check_numbers(std::span<const float> x) {
        if (const std::size_t d = kernels::first_not_finite(x); d < x.size()) {
            fail("patch: number {} of a head is {}, expected a finite number", d, x[d]);
        }
    }

    [[nodiscard]] static std::size_t start_of(const layer_site& place) {
        return place.site == hook::embedding ? 0 : place.layer + 1;
    }
    [[nodiscard]] std::size_t length() const { return m_state.position; }

    /// The patched position through the rest of its layer, which no other position has a part in.
    void enter(std::size_t place, std::span<const std::size_t> positions,
               std::vector<cell>& cells) {
        const layer_site& where = m_values.places[place];
        const bool at_border = where.site == hook::embedding || where.site == hook::after;
        const std::size_t width = m_model.config.width;
        xt::xtensor<float, 2> x = xt::empty<float>({positions.size(), width});
        std::vector<branch> alone;
        patch put;
        for (std::size_t j = 0; j < positions.size(); ++j) {
            const std::size_t p = positions[j];
            const std::span<const float> theirs = m_values.at(place, p);
            const auto from = at_border ? theirs : m_border.kept(where.layer)[p];
            std::ranges::copy(from, rows<float>(x)[j].begin());
            put.at(where.site, where.layer, p, theirs);  // checks the numbers, too
            alone.push_back({p, 1});
        }
        dynamic_policies policies = dynamic_policies::of(m_edits, put);
        constexpr std::size_t together = 64;  // each with its copy of the keys before it
        for (std::size_t j = 0; j < alone.size() && !at_border; j += together) {
            const std::size_t count = std::min(together, alone.size() - j);
            run_branches(m_model, m_state, std::span(alone).subspan(j, count), where.layer,
                         where.layer + 1, rows<float>(x).subrows(j, count), policies);
        }
        for (std::size_t j = 0; j < positions.size(); ++j) {
            const auto row = rows<const float>(x)[j];
            cells.push_back({place, j, positions[j], {row.begin(), row.end()}});
        }
    }

    /// How many of the cells run together.
    [[nodiscard]] std::size_t batch_of(std::size_t start, std::span<const cell> cells) const {
        std::size_t rows_in_all = 0;
        for (std::size_t n = 0; n < cells.size(); ++n) {
            rows_in_all += start == m_layers ? 1 : length() - cells[n].position;
            if (rows_in_all > m_options.batch && n > 0) { return n; }
        }
        return cells.size();
    }

    /// From layer `start` to the end.
    void finish(std::size_t start, std::span<const cell> cells, const metric_reader& metric,
                patch_grid_result& out) {
        std::vector<branch> branches;
        std::size_t count = 0;
        for (const cell& c : cells) {
            branches.push_back({c.position, length() - c.position});
            count += branches.back().count;
        }
        xt::xtensor<float, 2> x = xt::empty<float>({count, m_model.config.width});
        const rows<const float> own = m_border.kept(start);
        std::size_t row = 0;
        for (const cell& c : cells) {
            for (std::size_t p = c.position; p < length(); ++p) {
                const bool patched = p == c.position && !c.x.empty();
                std::ranges::copy(patched ? std::span<const float>(c.x) : own[p],
                                  rows<float>(x)[row++].begin());
            }
        }
        if (out.heads > 0) { run_heads(start++, cells, branches, x, out.positions); }
        run_branches(m_model, m_state, branches, start, m_layers, x, m_edits);
        read(cells, branches, x, metric, out);
    }

    /// The layer of these cells, each with its head's numbers.
    void run_heads(std::size_t layer, std::span<const cell> cells, std::span<const branch> branches,
                   rows<float> x, std::span<const std::size_t> positions) {
        std::vector<std::size_t> heads;
        for (const cell& c : cells) { heads.push_back(c.column); }
        put_heads put(std::move(heads), m_model.config.head_size, positions, m_values,
                      cells.front().place);
        dynamic_policies policies = dynamic_policies::of(m_edits, put);
        run_branches(m_model, m_state, branches, layer, layer + 1, x, policies);
    }

    /// The metric of the last position of each.
    void read(std::span<const cell> cells, std::span<const branch> branches, rows<const float> x,
              const metric_reader& metric, patch_grid_result& out) const {
        constexpr std::size_t together = 16;
        const std::size_t width = m_model.config.width;
        std::size_t end = 0;
        for (std::size_t first = 0; first < cells.size(); first += together) {
            const std::size_t count = std::min(together, cells.size() - first);
            xt::xtensor<float, 2> last = xt::empty<float>({count, width});
            for (std::size_t n = 0; n < count; ++n) {
                end += branches[first + n].count;
                std::ranges::copy(x[end - 1], rows<float>(last)[n].begin());
            }
            check_residual(last, m_layers - 1, length() - 1);
            xt::xtensor<float, 2> logits = xt::empty<float>({count, m_model.config.vocabulary});
            m_model.read_out(last, logits);
            for (std::size_t n = 0; n < count; ++n) {
                const cell& c = cells[first + n];
                out.metric(c.place, c.column) = metric(rows<const float>(logits)[n]);
            }
        }
    }

    const transformer<>& m_model;
    const patch_values& m_values;
    const patch_grid_options& m_options;
    dynamic_policies& m_edits;
    std::size_t m_layers;
    keep_sites m_border;
    keep_sites m_heads;
    sequence_state m_state;  // of the prompt as it is
    std::size_t m_done = 0;
};

inline std::vector<std::size_t> grid_positions(const patch_values& values,
                                               std::vector<std::size_t> asked) {
    if (asked.empty()) { asked = values.positions(); }
    for (std::size_t j = 0; j < asked.size(); ++j) {
        const std::size_t p = asked[j];
        if (p >= values.row_at.size()) {
            fail("patch: position {}, the prompt has positions 0 to {}", p,
                 values.row_at.size() - 1);
        }
        if (!values.row_at[p]) { fail("patch: position {} has no partner in the source", p); }
        const auto before = std::span(asked).first(j);
        if (std::ranges::find(before, p) != before.end()) {
            fail("patch: position {} is given twice", p);
        }
    }
    if (asked.empty()) { fail("patch: no position has a partner in the source"); }
    return asked;
}

/// How many heads are the columns of a grid of these places; 0 where they are positions.
inline std::size_t grid_heads(const transformer<>& model, std::span<const layer_site> places) {
    const std::size_t of_heads = head_sites(places).size();
    if (of_heads > 0 && of_heads < places.size()) {
        fail("patch: expected head_outputs alone, whose columns are heads, got other sites too");
    }
    return of_heads > 0 ? model.config.heads : 0;
}

XLENS_API patch_grid_result patch_grid_with(const transformer<>& model,
                                            std::span<const token_id> prompt,
                                            const patch_values& values,
                                            const patch_grid_options& options,
                                            dynamic_policies& edits) {
    using enum patch_metric::kind;
    if (values.row_at.size() != prompt.size()) {
        fail("patch: values for {} positions, the prompt has {}", values.row_at.size(),
             prompt.size());
    }
    patch_grid_result out;
    if (!edits.is_rowwise()) { fail("patch: expected edits that look at each row for itself"); }
    if (edits.wants(hook::read_out) || edits.wants(hook::logits)) {
        fail("patch: expected edits of residuals or coefficients, got one of what is read out");
    }
    out.positions = grid_positions(values, options.positions);
    out.places = values.places;
    out.heads = grid_heads(model, out.places);
    out.metric =
        xt::zeros<double>({out.places.size(), out.heads > 0 ? out.heads : out.positions.size()});
    patched_runs runs(model, prompt, values, options, edits);
    const std::span<const float> own = runs.logits();
    const metric_reader metric(options.metric, model.config.vocabulary,
                               options.metric.what == kl_prompt ? own : values.logits);
    out.prompt = metric(own);
    out.rounding = metric.rounding(own);
    if (!values.logits.empty()) {
        out.source = metric(values.logits);
        out.rounding = std::max(out.rounding, metric.rounding(values.logits));
    }
    runs.run(metric, out);
    return out;
}

}  // namespace detail

#endif

}  // namespace xlens
