// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/model/state.hpp>
#include <xlens/storage/rows.hpp>

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

/// How a text is cut into windows: a new one starts every `stride` tokens.
struct perplexity_windows {
    // NOLINTNEXTLINE(google-explicit-constructor): a number alone means windows that do not overlap
    perplexity_windows(std::size_t tokens) : window(tokens), stride(tokens) {}
    perplexity_windows(std::size_t tokens, std::size_t every) : window(tokens), stride(every) {}

    std::size_t window;
    std::size_t stride;
    /// Tokens that a pass reads: 1 for a policy that leaves early, which acts on such passes.
    std::size_t pass = 64;
};

/// Perplexity exp(-mean log p(w_t | w_<t)) of a text, each token given what stands before it in its
/// window. A new window starts every `stride` tokens, and predicts only what no window before it
/// has: the rest is context. The first token of a window is not predicted by it, so with windows
/// that do not overlap it never is. Logits are streamed, never kept whole.
/// `progress(done, total)` is called as tokens are read. Throws xlens::error if nothing can be
/// predicted, a window does not fit the model's context, or the stride the window.
template <class Model, class Progress, class... P>
perplexity_result perplexity(const Model& model, std::span<const token_id> tokens,
                             const perplexity_windows& windows, Progress progress, P&... policies) {
    const auto [window, stride, chunk] = windows;
    if (window < 2 || window > model.config.context) {
        fail("window: expected 2 to {}, got {}", model.config.context, window);
    }
    if (stride < 1 || stride > window) {
        fail("stride: expected 1 to {}, the window, got {}", window, stride);
    }
    if (tokens.size() < 2) { fail("perplexity: {} tokens, expected at least 2", tokens.size()); }
    const logit_lens lens(model);
    perplexity_result result;
    double total = 0.0;
    std::size_t predicted = 1;  // tokens [1, predicted) are; the first never is
    for (std::size_t start = 0; predicted < tokens.size(); start += stride) {
        const auto text = tokens.subspan(start, std::min(window, tokens.size() - start));
        sequence_state state = model.start();
        state.wanted = logit_rows::none;
        for (std::size_t first = 0; first + 1 < text.size(); first += chunk) {
            const std::size_t count = std::min(chunk, text.size() - 1 - first);
            model.forward(state, text.subspan(first, count), policies...);
            // Row t of the pass predicts token start + first + t + 1.
            const std::size_t known = predicted - std::min(predicted, start + first + 1);
            const std::size_t skip = std::min(count, known);
            const rows<const float> fresh =
                rows<const float>(state.residual).subrows(skip, count - skip);
            const auto targets = text.subspan(first + skip + 1, count - skip);
            if (count > skip) {
                for (const reading& r : lens.read(fresh, 0, targets)) { total -= r.target; }
            }
            result.tokens += count - skip;
            progress(start + first + count, tokens.size());
        }
        predicted = start + text.size();
    }
    if (result.tokens == 0) { fail("perplexity: no token can be predicted"); }
    result.nll = total / static_cast<double>(result.tokens);
    return result;
}

}  // namespace xlens
