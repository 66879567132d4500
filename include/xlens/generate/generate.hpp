// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/generate/choice.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/model/each_pass.hpp>
#include <xlens/model/state.hpp>
#include <xlens/model/transformer.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(generate)
#include <algorithm>
#include <array>
#endif

namespace xlens {

/// One generated token.
struct generated {
    token_id id = 0;
    /// Under the model, after the policies; of a token that an exit named, among those it looked
    /// at.
    float probability = 0.0F;
    std::size_t exit_layer = 0;  ///< last layer that ran for it: L - 1 unless a policy stopped
};

/// Whoever is handed the tokens of a text as they come: any callable; flow::stop ends the text.
class token_listener {
public:
    token_listener() = default;
    template <std::invocable<const generated&> Listen>
    token_listener(Listen listen)  // NOLINT(google-explicit-constructor): it is one
        : m_listen([listen = std::move(listen)](const generated& token) mutable {
              if constexpr (std::same_as<decltype(listen(token)), flow>) {
                  return listen(token);
              } else {
                  listen(token);
                  return flow::proceed;
              }
          }) {}

    flow operator()(const generated& token) const;

private:
    std::function<flow(const generated&)> m_listen;
};

struct generate_options {
    std::size_t count = 20;           ///< tokens at most
    chooser choose = {};              ///< greedy, a sampler, or one's own
    std::vector<token_id> ends = {};  ///< each ends the text, and is no part of it (model::ends)
    token_listener seen = {};         ///< is handed each token as it comes
    /// Whether generated::probability is wanted. Without, generate leaves it 0 and, where `choose`
    /// takes the most probable token, finds it without most of the unembedding's products
    /// (logit_rows::token): the same text in less time. generate_verified has it in any case.
    bool probabilities = true;
};

/// Why a text ended.
enum class finish {
    length,   ///< it has as many tokens as were asked for
    end,      ///< the model chose one of `ends`
    stop,     ///< whoever listens said so
    context,  ///< the model's context is full
};
/// "length", "end", "stop" or "context".
[[nodiscard]] XLENS_API std::string_view finish_name(finish why);

/// What generate() wrote.
struct continuation {
    std::vector<generated> tokens;
    finish why = finish::length;
};

/// Reads a prompt in passes of bounded size; leaves the last position's logits in the state.
/// Policies are told where the prompt ends (site::prompt). Throws xlens::error, before anything is
/// read, for a prompt that does not fit the model.
template <class Model, class... P>
void prefill(const Model& model, sequence_state& state, std::span<const token_id> prompt,
             P&... policies) {
    constexpr std::size_t chunk = 256;
    each_pass(model, state, prompt, chunk, [&](const text_pass& pass) {
        state.wanted = pass.last ? logit_rows::last : logit_rows::none;
        model.forward(state, pass.tokens, policies...);
    });
}

namespace detail {

/// The choice from a state's logits, or the answer that stands in their place.
template <class Choose>
token_choice choose_from(const sequence_state& state, Choose& choose) {
    if (state.answer) { return {state.answer->id, state.answer->probability}; }
    const std::span<const float> logits(state.logits.data(), state.logits.size());
    if constexpr (requires { choose(logits, std::span<const token_id>()); }) {
        return choose(logits, std::span<const token_id>(state.tokens));
    } else {
        return choose(logits);
    }
}

/// generate() with any policies as one pack.
XLENS_API continuation generate_with(const transformer<>& model, std::span<const token_id> prompt,
                                     generate_options options, dynamic_policies& policies);

}  // namespace detail

/// Continues a prompt token by token, each chosen by options.choose and handed to options.seen.
/// Ends early before a token of `ends`, which is not part of the result; after a token to which
/// `seen` answers flow::stop, which is (stop_sequences of generate/stop.hpp says when a text is
/// complete); and at the end of the context. Where `choose` takes the most probable token
/// (takes_best), an exit may name it, and the unembedding is left out.
/// Throws xlens::error for a prompt that is empty or does not fit the model, before anything is
/// read.
template <class... P>
continuation generate(const transformer<>& model, std::span<const token_id> prompt,
                      const generate_options& options = {}, P&... policies) {
    dynamic_policies pack = dynamic_policies::of(policies...);
    return detail::generate_with(model, prompt, options, pack);
}

#if XLENS_DEFINES(generate)
namespace detail {

XLENS_API continuation generate_with(const transformer<>& model, std::span<const token_id> prompt,
                                     generate_options options, dynamic_policies& policies) {
    continuation out;
    if (options.count == 0) { return out; }
    sequence_state state = model.start();
    prefill(model, state, prompt, policies);
    state.wanted = !options.choose.takes_best() ? logit_rows::last
                   : options.probabilities      ? logit_rows::best
                                                : logit_rows::token;
    while (true) {
        const token_choice next = choose_from(state, options.choose);
        out.why = finish::end;
        if (std::ranges::find(options.ends, next.id) != options.ends.end()) { return out; }
        const float probability = options.probabilities ? next.probability : 0.0F;
        out.tokens.push_back({next.id, probability, state.exit_layer});
        const generated& last = out.tokens.back();
        out.why = finish::stop;
        if (options.seen(last) == flow::stop) { return out; }
        out.why = finish::length;
        if (out.tokens.size() == options.count) { return out; }
        out.why = finish::context;
        if (state.position == model.config.context) { return out; }
        model.forward(state, std::span<const token_id>(&last.id, 1), policies);
    }
}

}  // namespace detail

XLENS_API std::string_view finish_name(finish why) {
    constexpr std::array<std::string_view, 4> names{"length", "end", "stop", "context"};
    return names.at(static_cast<std::size_t>(why));
}

XLENS_API flow token_listener::operator()(const generated& token) const {
    return m_listen ? m_listen(token) : flow::proceed;
}
#endif

}  // namespace xlens
