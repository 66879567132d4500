// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/kernels/top_k.hpp>
#include <xlens/model/state.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/weight_matrix.hpp>
#include <xlens/trace/attribution.hpp>
#include <xlens/trace/observe.hpp>
#include <xlens/trace/observe_updates.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace xlens {

namespace detail {

/// Reads a prompt in passes of bounded size with observe_updates last in the pack, and calls
/// read(record) after each pass that reaches a position in question.
template <class Model, class Progress, class Read, class... P>
void each_observed_pass(const Model& model, std::span<const token_id> tokens,
                        observe::positions which, Progress progress, Read read, P&... policies) {
    constexpr std::size_t chunk = 32;
    const bool all = which == observe::positions::all;
    observe_updates seen(which);
    sequence_state state = model.start();
    for (std::size_t first = 0; first < tokens.size(); first += chunk) {
        const auto part = tokens.subspan(first, std::min(chunk, tokens.size() - first));
        const bool last = first + part.size() == tokens.size();
        state.wanted = all ? logit_rows::all : last ? logit_rows::last : logit_rows::none;
        model.forward(state, part, policies..., seen);
        if (all || last) { read(seen); }
        progress(first + part.size(), tokens.size());
    }
}

/// The token of the highest logit, the lowest id among equals.
inline token_id best_token(std::span<const float> logits) {
    top_k best(1);
    best.offer_range(0, logits);
    return best.size() > 0 ? best.sorted().front().id : 0;
}

}  // namespace detail

struct attribution_options {
    std::optional<token_id> token;        ///< none: the predicted one
    std::optional<token_id> against;      ///< none: the logit itself, else the difference
    std::optional<std::size_t> position;  ///< none: the last
    std::size_t limit = 20;               ///< sub-updates to name
};

/// Explains one logit of a prompt: the prediction of the token after `position`. Policies run in
/// the pass, before it is recorded. `progress(done, total)` is called as tokens are read. Memory:
/// the key-value cache and O(L·(D + F) + V), whatever the prompt's length.
/// Throws xlens::error for a position or a token that is not there.
template <class Preset, weight_matrix Weights, class Progress, class... P>
attribution attribute(const transformer<Preset, Weights>& model, std::span<const token_id> tokens,
                      const attribution_options& options, Progress progress, P&... policies) {
    if (tokens.empty()) { fail("attribution: no tokens, expected at least 1"); }
    const std::size_t position = options.position.value_or(tokens.size() - 1);
    if (position >= tokens.size()) {
        fail("position: expected 0 to {}, got {}", tokens.size() - 1, position);
    }
    std::vector<attribution> out;
    const auto read = [&](const observe_updates& seen) {
        const token_id token =
            options.token ? *options.token : detail::best_token(seen.logits()[0]);
        const attribution_target target{0, token, options.against};
        out = attributor(model, options.limit)(seen, std::span(&target, 1));
    };
    // What stands after a position does not change it.
    detail::each_observed_pass(model, tokens.first(position + 1), observe::positions::last,
                               progress, read, policies...);
    return std::move(out.front());
}

/// Explains the predicted token's logit at the last position or at every one, in order, `limit`
/// sub-updates each. Memory as above, and for all positions 32 times that.
template <class Preset, weight_matrix Weights, class Progress, class... P>
std::vector<attribution> attribute_predictions(const transformer<Preset, Weights>& model,
                                               std::span<const token_id> tokens,
                                               observe::positions which, std::size_t limit,
                                               Progress progress, P&... policies) {
    std::vector<attribution> out;
    const auto read = [&](const observe_updates& seen) {
        std::vector<attribution_target> targets;
        for (std::size_t p = 0; p < seen.count(); ++p) {
            targets.push_back({p, detail::best_token(seen.logits()[p]), {}});
        }
        for (attribution& a : attributor(model, limit)(seen, targets)) {
            out.push_back(std::move(a));
        }
    };
    detail::each_observed_pass(model, tokens, which, progress, read, policies...);
    return out;
}

}  // namespace xlens
