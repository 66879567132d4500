// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>
#include <xlens/generate/sampling.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/model/state.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace xlens {

/// One generated token.
struct generated {
    token_id id = 0;
    /// Under the model, after the policies; of a token that an exit named, among those it looked
    /// at.
    float probability = 0.0F;
    std::size_t exit_layer = 0;  ///< last layer that ran for it: L - 1 unless a policy stopped
};

/// Reads a prompt in passes of bounded size; leaves the last position's logits in the state.
template <class Model, class... P>
void prefill(const Model& model, sequence_state& state, std::span<const token_id> prompt,
             P&... policies) {
    constexpr std::size_t chunk = 256;
    for (std::size_t first = 0; first < prompt.size(); first += chunk) {
        const auto part = prompt.subspan(first, std::min(chunk, prompt.size() - first));
        const bool last = first + part.size() == prompt.size();
        state.wanted = last ? logit_rows::last : logit_rows::none;
        model.forward(state, part, policies...);
    }
}

namespace detail {

/// The choice from a state's logits, by `choose(logits, text)` or `choose(logits)`, or the answer
/// that stands in their place.
template <class Choose>
choice choose_from(const sequence_state& state, Choose& choose) {
    if (state.answer) { return {state.answer->id, state.answer->probability}; }
    const std::span<const float> logits(state.logits.data(), state.logits.size());
    if constexpr (requires { choose(logits, std::span<const token_id>()); }) {
        return choose(logits, std::span<const token_id>(state.tokens));
    } else {
        return choose(logits);
    }
}

/// Shows a token to whoever listens; false where it answers flow::stop.
template <class Seen>
bool goes_on(Seen& seen, const generated& token) {
    if constexpr (std::same_as<decltype(seen(token)), flow>) {
        return seen(token) == flow::proceed;
    } else {
        seen(token);
        return true;
    }
}

}  // namespace detail

/// Continues a prompt by up to `count` tokens, each chosen by `choose(logits)` or
/// `choose(logits, text so far)` (greedy, sampler), and handed to `seen(generated)` as it comes.
/// Ends early after the token `stop`, which is not part of the result; after a token to which
/// `seen` answers flow::stop, which is (stop_sequences of generate/stop.hpp says when a text is
/// complete); and at the end of the context. Where `choose` takes the most probable token
/// (takes_best), an exit may name it, and the unembedding is left out.
template <class Model, class Choose, class Seen, class... P>
std::vector<generated> generate(const Model& model, std::span<const token_id> prompt,
                                std::size_t count, Choose& choose, std::optional<token_id> stop,
                                Seen seen, P&... policies) {
    std::vector<generated> out;
    if (count == 0) { return out; }
    sequence_state state = model.start();
    prefill(model, state, prompt, policies...);
    state.wanted = takes_best(choose) ? logit_rows::best : logit_rows::last;
    while (true) {
        const choice next = detail::choose_from(state, choose);
        if (stop && next.id == *stop) { return out; }
        out.push_back({next.id, next.probability, state.exit_layer});
        const bool more = detail::goes_on(seen, out.back());
        if (!more || out.size() == count || state.position == model.config.context) { return out; }
        model.forward(state, std::span<const token_id>(&out.back().id, 1), policies...);
    }
}

}  // namespace xlens
