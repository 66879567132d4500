// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/lens/linear_lens.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/lens/reading.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/trace/observe.hpp>
#include <xlens/trace/position_choice.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/concepts/concept_reader.hpp>
#include <xlens/concepts/value_concepts.hpp>
#include <xlens/core/aligned.hpp>
#include <xlens/core/layer.hpp>
#include <xlens/model/each_pass.hpp>
#include <xlens/model/state.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/rows_at.hpp>
#include <xlens/storage/weight_matrix.hpp>
#include <xlens/trace/saturation.hpp>
#endif

namespace xlens {

/// A dominant sub-update and the concept of its value vector, by trace_options::form. Where the
/// coefficient is negative the two ends change roles: -v promotes what v suppresses.
struct traced_sub_update : sub_update {
    std::shared_ptr<const token_ends> concept_of_value;  ///< one a value vector, shared
};

/// The prediction that a layer's FFN update finds and leaves, and the sub-updates behind it.
struct traced_layer {
    std::size_t layer = 0;
    reading before;
    reading after;
    std::vector<traced_sub_update> sub_updates;
};

struct traced_position {
    std::size_t position = 0;
    std::vector<traced_layer> layers;
    std::size_t saturation_layer = 0;
    std::optional<std::size_t>
        exit_layer{};  ///< where early exit would leave (would_exit), if asked

    /// The model's own prediction: the last layer's `after`.
    [[nodiscard]] const reading& prediction() const { return layers.back().after; }
};

struct trace_options {
    std::size_t top = 10;          ///< tokens of each distribution and of each concept
    std::size_t sub_updates = 10;  ///< dominant sub-updates a layer
    position_choice positions = observe::positions::last;
    progress_function progress = {};  ///< counts tokens that were read
    /// What residuals are read through, both sides of a layer's update by the map of its output
    /// (linear_lens); borrowed. Null: the logit lens alone.
    const linear_lens* lens = nullptr;
    /// Layers whose sub-updates are named; none here: all.
    std::vector<std::size_t> layers = {};
    projection form = projection::folded;  ///< by which the concepts of value vectors are read
};

namespace detail {

/// trace() with any policies as one pack.
XLENS_API std::vector<traced_position> trace_with(const transformer<>& model,
                                                  std::span<const token_id> tokens,
                                                  const trace_options& options,
                                                  dynamic_policies& policies);

/// A part of it, for benchmarks: the residuals of these positions of a pass read through the lens,
/// without concepts.
XLENS_API std::vector<traced_position> read_pass(const logit_lens& lens, const linear_lens* fitted,
                                                 const observe& seen,
                                                 std::span<const std::size_t> positions,
                                                 std::size_t top);

}  // namespace detail

/// Traces a prompt: for each layer what the lens reads before and after the FFN update, and the
/// dominant sub-updates with their concepts (Geva et al. 2022, figure 1), at the last position, at
/// all, or at some. With a fitted lens the readings are its; sub-updates and concepts stay as they
/// are.
/// Policies run in the pass, before it is observed, so that a trace shows what they change.
/// Peak memory does not grow with the prompt beyond the result and the key-value cache.
/// Throws xlens::error for tokens that do not fit the model, a position or a layer that is not
/// there, and where a residual is no number.
template <class... P>
std::vector<traced_position> trace(const transformer<>& model, std::span<const token_id> tokens,
                                   const trace_options& options = {}, P&... policies) {
    dynamic_policies pack = dynamic_policies::of(policies...);
    return detail::trace_with(model, tokens, options, pack);
}

#if XLENS_DEFINES(trace)
namespace detail {

/// Tokens a pass of a trace reads: bounds what `observe` holds, whatever the prompt's length.
inline constexpr std::size_t trace_chunk = 32;

inline std::vector<traced_position> traced(std::span<const std::size_t> positions,
                                           std::size_t layers) {
    std::vector<traced_position> out(positions.size());
    for (std::size_t p = 0; p < positions.size(); ++p) {
        out[p].position = positions[p];
        out[p].layers.resize(layers);
    }
    return out;
}

/// What was observed at these positions, which are among those of the pass.
inline std::vector<observed_layer> picked(const observe& seen,
                                          std::span<const std::size_t> positions) {
    std::vector<std::size_t> which;
    for (const std::size_t p : positions) { which.push_back(p - seen.first_position()); }
    std::vector<observed_layer> out;
    for (const observed_layer& layer : seen.layers()) {
        observed_layer some{rows_at(layer.before, which), rows_at(layer.after, which), {}};
        for (const std::size_t i : which) { some.dominant.push_back(layer.dominant[i]); }
        out.push_back(std::move(some));
    }
    return out;
}

/// Residuals that are read together, at most: enough for the vocabulary to be screened
/// (lens/reading_screen.hpp), and few beside it.
inline constexpr std::size_t trace_readings = 4096;

/// What the lens reads of each layer in turn: of all positions before its FFN update, then of all
/// after it. Residuals of many layers are read together, so that the vocabulary comes from memory
/// once for many of them. `fitted` is trace_options::lens: one map for both sides of an
/// update, so that what differs between them is the update's doing.
inline std::vector<reading> read_layers(const logit_lens& lens, const linear_lens* fitted,
                                        const std::vector<observed_layer>& layers,
                                        std::span<const std::size_t> positions, std::size_t top) {
    const std::size_t most = std::min(trace_readings, 2 * layers.size() * positions.size());
    auto some = aligned_tensor::from_shape({most, layers.front().after.shape(1)});
    std::size_t count = 0;
    std::vector<reading> out;
    const auto read = [&] {
        std::ranges::move(lens.read(rows<float>(some).subrows(0, count), top),
                          std::back_inserter(out));
        count = 0;
    };
    for (const observed_layer& layer : layers) {
        for (const rows<const float> residuals :
             {rows<const float>(layer.before), rows<const float>(layer.after)}) {
            const auto l = static_cast<std::size_t>(&layer - layers.data());
            for (std::size_t p = 0; p < positions.size(); ++p) {
                check_residual(residuals.subrows(p, 1), l, positions[p]);
            }
            xt::xtensor<float, 2> translated;
            rows<const float> read_from = residuals;
            if (fitted != nullptr && fitted->has(l)) {
                translated = residuals.tensor();
                fitted->translate(l, translated);
                read_from = translated;
            }
            for (std::size_t p = 0; p < residuals.count(); ++p) {
                std::ranges::copy(read_from[p], rows<float>(some)[count].begin());
                if (++count == most) { read(); }
            }
        }
    }
    if (count > 0) { read(); }
    return out;
}

XLENS_API std::vector<traced_position> read_pass(const logit_lens& lens, const linear_lens* fitted,
                                                 const observe& seen,
                                                 std::span<const std::size_t> positions,
                                                 std::size_t top) {
    const bool all = positions.size() == seen.layers().front().after.shape(0);
    const std::vector<observed_layer> some =
        all ? std::vector<observed_layer>() : picked(seen, positions);
    const std::vector<observed_layer>& layers = all ? seen.layers() : some;
    std::vector<traced_position> out = traced(positions, layers.size());
    std::vector<reading> read = read_layers(lens, fitted, layers, positions, top);
    for (std::size_t l = 0; l < layers.size(); ++l) {
        const auto before = std::span(read).subspan(2 * l * out.size(), out.size());
        const auto after = std::span(read).subspan((2 * l + 1) * out.size(), out.size());
        for (std::size_t p = 0; p < out.size(); ++p) {
            traced_layer& to = out[p].layers[l];
            to.layer = l;
            to.before = std::move(before[p]);
            to.after = std::move(after[p]);
            for (const sub_update& s : layers[l].dominant[p]) { to.sub_updates.push_back({s, {}}); }
        }
    }
    return out;
}

/// Fills in the concepts of all sub-updates.
inline void add_concepts(const concept_reader& reader,
                         const std::vector<value_matrix<any_matrix>>& values, std::size_t top,
                         std::vector<traced_position>& positions) {
    xlens::add_concepts(reader, values, top, [&](auto&& visit) {
        for (traced_position& p : positions) {
            for (traced_layer& l : p.layers) {
                for (traced_sub_update& s : l.sub_updates) { visit(s.where, s.concept_of_value); }
            }
        }
    });
}

/// Takes the sub-updates off all other layers, if some are chosen.
inline void leave_layers(const std::vector<std::size_t>& layers,
                         std::vector<traced_position>& positions) {
    if (layers.empty()) { return; }
    for (traced_position& p : positions) {
        for (traced_layer& l : p.layers) {
            if (std::ranges::find(layers, l.layer) == layers.end()) { l.sub_updates.clear(); }
        }
    }
}

inline void add_saturation(traced_position& p) {
    std::vector<token_id> top;
    for (const traced_layer& l : p.layers) {
        top.push_back(l.after.top.empty() ? -1 : l.after.top.front().id);
    }
    p.saturation_layer = saturation_layer(top);
}

XLENS_API std::vector<traced_position> trace_with(const transformer<>& model,
                                                  std::span<const token_id> tokens,
                                                  const trace_options& options,
                                                  dynamic_policies& policies) {
    // One token at least, for the lens tells the top token of every layer.
    const std::size_t top = std::max<std::size_t>(options.top, 1);
    for (const std::size_t l : options.layers) { check_layer("layers", l, model.blocks.size()); }
    options.positions.check(tokens.size(), "trace");
    const std::vector<std::size_t> wanted = options.positions.in(tokens.size());
    observe seen(model.value_norms(), options.sub_updates,
                 options.positions.is_last() ? observe::positions::last : observe::positions::all);
    sequence_state state = model.start();
    state.wanted = logit_rows::none;
    const logit_lens lens(model);

    std::vector<traced_position> out;
    each_pass(model, state, tokens, trace_chunk, [&](const text_pass& pass) {
        model.forward(state, pass.tokens, policies, seen);
        const auto begin = std::ranges::lower_bound(wanted, pass.position);
        const auto end = std::ranges::lower_bound(wanted, pass.position + pass.tokens.size());
        if (begin != end) {
            for (traced_position& p : read_pass(lens, options.lens, seen, {begin, end}, top)) {
                add_saturation(p);
                out.push_back(std::move(p));
            }
        }
        options.progress(pass.row + pass.tokens.size(), tokens.size());
    });
    leave_layers(options.layers, out);
    if (options.sub_updates > 0) {
        add_concepts(concept_reader(model, options.form), model.value_matrices(), options.top, out);
    }
    return out;
}

}  // namespace detail
#endif

}  // namespace xlens
