// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/function_ref.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/events/detect.hpp>
#include <xlens/events/options.hpp>
#include <xlens/events/record_updates.hpp>
#include <xlens/events/scores.hpp>
#include <xlens/events/statistics.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/model/state.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(events)
#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/nn/norm.hpp>
#endif

namespace xlens {

/// An event of a text: where it is, and what was measured of its reference token.
struct text_event {
    std::uint64_t position = 0;  ///< of the token in the text
    std::uint64_t window = 0;    ///< number of the window that was read
    found_event what;
    update_measures measures;
};

/// The top token of every residual (N, D) through the lens: that of lens.read(x, 1), which takes
/// 2·N·V·D operations; a dense unembedding is screened in integers first (lens/screen.hpp), with
/// the same result. Throws xlens::error where a residual or a score is not finite.
XLENS_API std::vector<token_id> top_tokens(const transformer<>& model, const logit_lens& lens,
                                           rows<const float> x);

/// Reads a text window by window, finds its saturation and elimination events, and measures them
/// (Geva et al. 2022, sections 5.1 to 5.3). Exact: top tokens, scores and log-probabilities are
/// those of full f32 scans. Results depend neither on the number of threads nor on options.batch.
/// Memory: 2·L·batch·D floats of residuals, F·D of one layer's value vectors, and what
/// event_statistics holds. Borrows the model.
class event_reader {
public:
    event_reader(const transformer<>& model, const event_options& options);

    /// Reads a window of tokens, the first of which is token `first` of the text; calls
    /// take(text_event) for every event, by position and layer.
    void read(std::span<const token_id> tokens, std::uint64_t first,
              function_ref<void(const text_event&)> take);

    [[nodiscard]] const event_statistics& statistics() const { return m_found; }
    /// Goes on from what an earlier run had found.
    void resume(event_statistics found) { m_found = std::move(found); }

private:
    /// Events of a pass, with the row that each belongs to.
    struct row_event {
        std::size_t row = 0;
        found_event what;
        update_measures measures;
    };

    void read_pass(std::size_t count, std::uint64_t first,
                   function_ref<void(const text_event&)> take);

    /// Of the window that is being read.
    [[nodiscard]] std::size_t part() const;

    static update_set set_of(event_kind kind);

    /// Top tokens of one layer; both residuals go through the lens together, a screen pays for
    /// many.
    void read_tops(std::size_t l, std::size_t count, std::uint64_t first);

    [[nodiscard]] std::span<const token_id> tops(const std::vector<token_id>& of, std::size_t t,
                                                 std::size_t layers) const;

    std::vector<row_event> find(std::size_t count, std::size_t layers);

    /// Scores the top candidate before the update at every row, and saturation events.
    void measure_layer(std::size_t l, std::size_t count, std::uint64_t first,
                       std::vector<row_event>& events);

    /// Which value vectors are active, and in extreme updates (section 5.3).
    void count_neurons(std::size_t l, std::span<const sub_update> dominant,
                       std::span<const float> own);

    /// Log-probabilities of every saturation, and of the eliminations that are drawn.
    void measure_log_probabilities(std::uint64_t first, std::vector<row_event>& events);

    const transformer<>* m_model;
    event_options m_options;
    logit_lens m_lens;
    sub_update_scores m_scores;
    record_updates m_recorder;
    event_statistics m_found;
    std::size_t m_first_row = 0;     ///< of a pass: rows before are not looked at
    std::vector<token_id> m_before;  ///< (T, L): top tokens of a pass
    std::vector<token_id> m_after;   ///< (T, L)
};

#if XLENS_DEFINES(events)

XLENS_API std::vector<token_id> top_tokens(const transformer<>& model, const logit_lens& lens,
                                           rows<const float> x) {
    std::vector<token_id> out;
    const auto take = [&](std::span<const scored> top) { out.push_back(top.front().id); };
    const auto& e = model.unembedding;
    if (e.sections.size() == 1 && e.bias.size() == 0 && e.cap == 0.0F) {
        for (const token_ends& one : lens.project(x, 1, projection::normed)) { take(one.promotes); }
    } else {  // what is no plain product: a bias, a cap's ties, sections shifted by their classes
        for (const reading& r : lens.read(x, 1)) { take(r.top); }
    }
    return out;
}

XLENS_API event_reader::event_reader(const transformer<>& model, const event_options& options)
    : m_model(&model),
      m_options(options),
      m_lens(model),
      m_scores(model, options.seed),
      m_recorder(model, options.sub_updates, options.seed),
      m_found(model.config.layers, model.config.inner_width) {
    if (options.window < 1 || options.window > model.config.context) {
        fail("window: expected 1 to {}, got {}", model.config.context, options.window);
    }
    if (options.batch == 0 || options.measured == 0) {
        fail("batch, measured: expected at least 1, got 0");
    }
}

XLENS_API std::size_t event_reader::part() const {
    return static_cast<std::size_t>(m_found.windows % event_statistics::parts);
}

XLENS_API update_set event_reader::set_of(event_kind kind) {
    return kind == event_kind::saturation ? update_set::saturation : update_set::elimination;
}

XLENS_API void event_reader::read_tops(std::size_t l, std::size_t count, std::uint64_t first) {
    const recorded_layer& layer = m_recorder.layers()[l];
    check_residual(layer.before, l, static_cast<std::size_t>(first));
    check_residual(layer.after, l, static_cast<std::size_t>(first));
    const std::size_t width = layer.before.shape(1);
    xt::xtensor<float, 2> both = xt::empty<float>({2 * count, width});
    std::copy(layer.before.begin(), layer.before.end(), both.begin());
    std::copy(layer.after.begin(), layer.after.end(),
              both.begin() + static_cast<std::ptrdiff_t>(count * width));
    if (m_options.lens != nullptr) { m_options.lens->translate(l, both); }
    const std::vector<token_id> top = top_tokens(*m_model, m_lens, both);
    const std::size_t layers = m_recorder.layers().size();
    for (std::size_t t = 0; t < count; ++t) {
        m_before[t * layers + l] = top[t];
        m_after[t * layers + l] = top[count + t];
    }
}

XLENS_API std::span<const token_id> event_reader::tops(const std::vector<token_id>& of,
                                                       std::size_t t, std::size_t layers) const {
    return std::span(of).subspan(t * layers, layers);
}

XLENS_API std::vector<event_reader::row_event> event_reader::find(std::size_t count,
                                                                  std::size_t layers) {
    std::vector<row_event> out;
    for (std::size_t t = m_first_row; t < count; ++t) {
        const found_events found = find_events(tops(m_before, t, layers), tops(m_after, t, layers));
        ++m_found.settled_counts[static_cast<std::size_t>(found.how)];
        ++m_found.saturation_layers[found.saturation_layer];
        for (const found_event& e : found.events) { out.push_back({t, e, {}}); }
    }
    return out;
}

XLENS_API void event_reader::measure_layer(std::size_t l, std::size_t count, std::uint64_t first,
                                           std::vector<row_event>& events) {
    const recorded_layer& layer = m_recorder.layers()[l];
    const std::size_t layers = m_recorder.layers().size();
    const std::size_t k = m_recorder.sub_updates();
    m_scores.load(l);
    std::vector<update_measures> all(count);
    std::vector<float> own(count * k);
    const std::size_t work = 40 * k * layer.before.shape(1);
    const auto measure = [&](std::size_t t, token_id w, token_id other, std::span<float> each) {
        update_measures out;
        out.scores = m_scores(layer, t, first + t, w, m_options.form, each);
        out.dominance_share = layer.dominant_share[t];
        out.norm_share = m_scores.norm_share(layer, t);
        out.whole = m_scores.whole(layer, t, w, m_options.form);
        out.other = m_scores.whole(layer, t, other, m_options.form);
        return out;
    };
    parallel_for(count, work, [&](std::size_t t) {
        all[t] = measure(t, m_before[t * layers + l], m_after[t * layers + l],
                         std::span(own).subspan(t * k, k));
    });
    std::vector<row_event*> here;
    for (row_event& e : events) {
        if (e.what.layer == l) { here.push_back(&e); }
    }
    parallel_for(here.size(), work, [&](std::size_t i) {
        row_event& e = *here[i];
        e.measures = e.what.kind == event_kind::elimination
                         ? all[e.row]
                         : measure(e.row, e.what.token, e.what.other, {});
    });
    for (std::size_t t = m_first_row; t < count; ++t) {
        m_found.of(update_set::all).add(l, all[t]);
        count_neurons(l, std::span(layer.dominant).subspan(t * k, k),
                      std::span<const float>(own).subspan(t * k, k));
    }
}

XLENS_API void event_reader::count_neurons(std::size_t l, std::span<const sub_update> dominant,
                                           std::span<const float> own) {
    const float bar = m_options.threshold;
    const bool extreme =
        std::any_of(own.begin(), own.end(), [bar](float s) { return std::abs(s) >= bar; });
    m_found.extreme_updates[l] += extreme ? 1 : 0;
    for (std::size_t i = 0; i < dominant.size(); ++i) {
        const std::size_t number = l * m_found.inner_width + dominant[i].where.index;
        neuron_counts& n = m_found.neurons[number];
        ++n.dominant;
        n.in_extreme += extreme ? 1 : 0;
        n.promotes += own[i] >= bar ? 1 : 0;
        n.suppresses += own[i] <= -bar ? 1 : 0;
        neuron_part_counts& p = m_found.by_part[part() * m_found.neurons.size() + number];
        p.active += extreme ? 1 : 0;
        p.extreme += std::abs(own[i]) >= bar ? 1 : 0;
    }
}

XLENS_API void event_reader::measure_log_probabilities(std::uint64_t first,
                                                       std::vector<row_event>& events) {
    std::vector<row_event*> wanted;
    for (row_event& e : events) {
        const std::uint64_t number =
            detail::drawn(detail::draw::measured, m_options.seed, first + e.row, e.what.layer);
        if (e.what.kind == event_kind::saturation || number % m_options.measured == 0) {
            wanted.push_back(&e);
        }
    }
    const std::size_t width = m_model->config.width;
    xt::xtensor<float, 2> x = xt::empty<float>({2 * wanted.size(), width});
    std::vector<token_id> tokens;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const recorded_layer& layer = m_recorder.layers()[wanted[i]->what.layer];
        const std::size_t row = wanted[i]->row;
        const auto copy = [&](const xt::xtensor<float, 2>& from, std::size_t to) {
            const auto values = rows<const float>(from)[row];
            std::copy(values.begin(), values.end(), rows<float>(x)[to].begin());
            tokens.push_back(wanted[i]->what.token);
        };
        copy(layer.before, 2 * i);
        copy(layer.after, 2 * i + 1);
        if (m_options.lens != nullptr) {
            m_options.lens->translate(wanted[i]->what.layer, rows<float>(x).subrows(2 * i, 2));
        }
    }
    const std::vector<reading> read = m_lens.read(x, 0, tokens);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        wanted[i]->measures.log_before = read[2 * i].target;
        wanted[i]->measures.log_after = read[2 * i + 1].target;
    }
}

XLENS_API void event_reader::read(std::span<const token_id> tokens, std::uint64_t first,
                                  function_ref<void(const text_event&)> take) {
    sequence_state state = m_model->start();
    state.wanted = logit_rows::none;
    m_recorder.sequence_begins_at(first);
    for (std::size_t at = 0; at < tokens.size(); at += m_options.batch) {
        const auto part = tokens.subspan(at, std::min(m_options.batch, tokens.size() - at));
        m_model->forward(state, part, m_recorder);
        m_first_row = std::min(part.size(), m_options.skipped - std::min(m_options.skipped, at));
        read_pass(part.size(), first + at, take);
    }
    for (update_means& m : m_found.means) { m.end_window(); }
    ++m_found.windows;
}

XLENS_API void event_reader::read_pass(std::size_t count, std::uint64_t first,
                                       function_ref<void(const text_event&)> take) {
    const std::size_t layers = m_recorder.layers().size();
    m_before.assign(layers * count, 0);
    m_after.assign(layers * count, 0);
    for (std::size_t l = 0; l < layers; ++l) { read_tops(l, count, first); }
    std::vector<row_event> events = find(count, layers);
    for (std::size_t l = 0; l < layers; ++l) { measure_layer(l, count, first, events); }
    measure_log_probabilities(first, events);
    for (const row_event& e : events) {
        m_found.of(set_of(e.what.kind)).add(e.what.layer, e.measures);
        take(text_event{first + e.row, m_found.windows, e.what, e.measures});
    }
    m_found.tokens += count;
    m_found.positions += count - m_first_row;
    m_found.part_positions[part()] += count - m_first_row;
}
#endif

}  // namespace xlens
