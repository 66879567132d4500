// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/attention_head.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/trace/attribution.hpp>
#include <xlens/trace/observe.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/concepts/value_concepts.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/function_ref.hpp>
#include <xlens/core/layer.hpp>
#include <xlens/kernels/top_k.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/model/each_pass.hpp>
#include <xlens/model/state.hpp>
#include <xlens/trace/observe_updates.hpp>
#endif

namespace xlens {

struct attribution_options {
    std::optional<token_id> token;         ///< none: the predicted one
    std::optional<token_id> against;       ///< none: the logit itself, else the difference
    std::optional<std::size_t> position;   ///< none: the last
    std::size_t limit = 20;                ///< sub-updates to name
    std::vector<std::size_t> layers = {};  ///< whose sub-updates; none: of all
    bool heads = false;                    ///< attention by heads too
    std::optional<attention_head> head;    ///< this one by the positions that it reads; and `heads`
    progress_function progress = {};       ///< counts tokens that were read
};

/// Which predictions of a prompt are explained.
struct prediction_options {
    observe::positions positions = observe::positions::last;
    std::size_t limit = 20;           ///< sub-updates to name, of each
    progress_function progress = {};  ///< counts tokens that were read
};

namespace detail {

XLENS_API attribution attribute_with(const transformer<>& model, std::span<const token_id> tokens,
                                     const attribution_options& options,
                                     dynamic_policies& policies);

XLENS_API std::vector<attribution> attribute_predictions_with(const transformer<>& model,
                                                              std::span<const token_id> tokens,
                                                              const prediction_options& options,
                                                              dynamic_policies& policies);

}  // namespace detail

/// Explains one logit of a prompt: the prediction of the token after `position`. Policies run in
/// the pass, before it is recorded. Memory: the key-value cache and O(L·(D + F) + V), whatever the
/// prompt's length; of `head` 32 positions' pattern more, 32·H·T. Throws xlens::error for a
/// position, a token or a head that is not there.
template <class... P>
attribution attribute(const transformer<>& model, std::span<const token_id> tokens,
                      const attribution_options& options = {}, P&... policies) {
    dynamic_policies pack = dynamic_policies::of(policies...);
    return detail::attribute_with(model, tokens, options, pack);
}

/// Explains the predicted token's logit at the last position or at every one, in order. Memory as
/// above, and for all positions 32 times that.
template <class... P>
std::vector<attribution> attribute_predictions(const transformer<>& model,
                                               std::span<const token_id> tokens,
                                               const prediction_options& options = {},
                                               P&... policies) {
    dynamic_policies pack = dynamic_policies::of(policies...);
    return detail::attribute_predictions_with(model, tokens, options, pack);
}

/// Fills in the concepts of the sub-updates that an attribution names: `top` tokens an end, folded.
/// `model` is the one that was explained.
XLENS_API void add_concepts(const transformer<>& model, std::size_t top, attribution& to);

#if XLENS_DEFINES(trace)
XLENS_API void add_concepts(const transformer<>& model, std::size_t top, attribution& to) {
    add_concepts(concept_reader(model, projection::folded), model.value_matrices(), top,
                 [&](auto&& visit) {
                     for (sub_update_contribution& s : to.sub_updates) {
                         visit(s.where, s.concept_of_value);
                     }
                 });
}

namespace detail {

/// Reads a prompt in passes of bounded size with `seen` behind the policies, and calls read(seen)
/// after each pass that reaches a position in question: the last, or all.
inline void each_observed_pass(const transformer<>& model, std::span<const token_id> tokens,
                               observe_updates& seen, bool all, const progress_function& progress,
                               function_ref<void(const observe_updates&)> read,
                               dynamic_policies& policies) {
    constexpr std::size_t chunk = 32;
    sequence_state state = model.start();
    each_pass(model, state, tokens, chunk, [&](const text_pass& pass) {
        state.wanted = all ? logit_rows::all : pass.last ? logit_rows::last : logit_rows::none;
        model.forward(state, pass.tokens, policies, seen);
        if (all || pass.last) { read(seen); }
        progress(pass.row + pass.tokens.size(), tokens.size());
    });
}

/// The token of the highest logit, the lowest id among equals.
inline token_id best_token(std::span<const float> logits) {
    top_k best(1);
    best.offer_range(0, logits);
    return best.size() > 0 ? best.sorted().front().id : 0;
}

}  // namespace detail

namespace detail {

XLENS_API attribution attribute_with(const transformer<>& model, std::span<const token_id> tokens,
                                     const attribution_options& options,
                                     dynamic_policies& policies) {
    if (tokens.empty()) { fail("attribution: no tokens, expected at least 1"); }
    const std::size_t position = options.position.value_or(tokens.size() - 1);
    if (position >= tokens.size()) {
        fail("position: expected 0 to {}, got {}", tokens.size() - 1, position);
    }
    for (const std::size_t l : options.layers) { check_layer("layers", l, model.blocks.size()); }
    std::vector<attribution> out;
    std::optional<observe_sources> sources;
    if (options.head) {
        check_head(*options.head, model.blocks.size(), model.config.heads);
        sources.emplace(*options.head, model.config.heads, model.config.kv_heads);
    }
    const auto read = [&](const observe_updates& seen) {
        const token_id token = options.token ? *options.token : best_token(seen.logits()[0]);
        const attribution_target target{0, token, options.against};
        const attributor attribute(model, options.limit, options.layers);
        out = attribute(seen, std::span(&target, 1), sources ? &*sources : nullptr);
    };
    dynamic_policies all;
    all.borrow(policies);
    if (sources) { all.borrow(*sources); }
    observe_updates seen(observe::positions::last, options.heads || options.head);
    // What stands after a position does not change it.
    each_observed_pass(model, tokens.first(position + 1), seen, false, options.progress, read, all);
    return std::move(out.front());
}

XLENS_API std::vector<attribution> attribute_predictions_with(const transformer<>& model,
                                                              std::span<const token_id> tokens,
                                                              const prediction_options& options,
                                                              dynamic_policies& policies) {
    std::vector<attribution> out;
    const auto read = [&](const observe_updates& seen) {
        std::vector<attribution_target> targets;
        for (std::size_t p = 0; p < seen.count(); ++p) {
            targets.push_back({p, best_token(seen.logits()[p]), {}});
        }
        for (attribution& a : attributor(model, options.limit)(seen, targets)) {
            out.push_back(std::move(a));
        }
    };
    observe_updates record(options.positions);
    each_observed_pass(model, tokens, record, options.positions == observe::positions::all,
                       options.progress, read, policies);
    return out;
}

}  // namespace detail
#endif

}  // namespace xlens
