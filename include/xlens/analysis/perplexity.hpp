// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/model/state.hpp>
#include <xlens/policy/policy.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace xlens {

/// How well a model predicts a text.
struct perplexity_result {
    std::size_t tokens = 0;  ///< predicted tokens
    double nll = 0.0;        ///< mean negative log-likelihood of one, in nats

    [[nodiscard]] double perplexity() const { return std::exp(nll); }
};

/// Tokens that a pass of perplexity reads.
inline constexpr std::size_t perplexity_chunk = 64;

/// Perplexity exp(-mean log p(w_t | w_<t)) of a text cut into windows of `window` tokens that do not
/// overlap; the first token of each window is not predicted. Logits are streamed, never kept whole.
/// `progress(done, total)` is called as tokens are read. Throws xlens::error if nothing can be
/// predicted or a window does not fit the model's context. A pass reads `chunk` tokens: 1 for a policy
/// that leaves early, which acts on passes of one position.
template <class Model, class Progress, class... P>
perplexity_result perplexity_by(const Model& model, std::span<const token_id> tokens,
                                std::size_t window, std::size_t chunk, Progress progress,
                                P&... policies) {
    if (window < 2 || window > model.config.context) {
        fail("window: expected 2 to {}, got {}", model.config.context, window);
    }
    if (tokens.size() < 2) { fail("perplexity: {} tokens, expected at least 2", tokens.size()); }
    const logit_lens lens(model);
    perplexity_result result;
    double total = 0.0;
    for (std::size_t start = 0; start < tokens.size(); start += window) {
        const auto text = tokens.subspan(start, std::min(window, tokens.size() - start));
        sequence_state state = model.start();
        state.wanted = logit_rows::none;
        for (std::size_t first = 0; first + 1 < text.size(); first += chunk) {
            const std::size_t count = std::min(chunk, text.size() - 1 - first);
            model.forward(state, text.subspan(first, count), policies...);
            for (const reading& r : lens.read(state.residual, 0, text.subspan(first + 1, count))) {
                total -= r.target;
            }
            result.tokens += count;
            progress(start + first + count, tokens.size());
        }
    }
    result.nll = total / static_cast<double>(result.tokens);
    return result;
}

/// The same with passes of the usual size.
template <class Model, class Progress, class... P>
perplexity_result perplexity(const Model& model, std::span<const token_id> tokens,
                             std::size_t window, Progress progress, P&... policies) {
    return perplexity_by(model, tokens, window, perplexity_chunk, progress, policies...);
}

}  // namespace xlens
