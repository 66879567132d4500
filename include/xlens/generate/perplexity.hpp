// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/model/transformer.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#if XLENS_DEFINES(generate)
#include <xlens/core/error.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/model/each_pass.hpp>
#include <xlens/model/state.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/storage/rows.hpp>
#endif

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
    progress_function progress = {};  ///< counts tokens that were read
};

namespace detail {

/// perplexity() with any policies as one pack.
XLENS_API perplexity_result perplexity_with(const transformer<>& model,
                                            std::span<const token_id> tokens,
                                            const perplexity_windows& cut,
                                            dynamic_policies& policies);

}  // namespace detail

/// Perplexity exp(-mean log p(w_t | w_<t)) of a text, each token given what stands before it in its
/// window. A new window starts every `stride` tokens, and predicts only what no window before it
/// has: the rest is context. The first token of a window is not predicted by it, so with windows
/// that do not overlap it never is. Logits are streamed, never kept whole.
/// Throws xlens::error if nothing can be predicted, a window does not fit the model's context, or
/// the stride the window, and where a residual or the result is no number.
template <class... P>
perplexity_result perplexity(const transformer<>& model, std::span<const token_id> tokens,
                             const perplexity_windows& windows, P&... policies) {
    dynamic_policies pack = dynamic_policies::of(policies...);
    return detail::perplexity_with(model, tokens, windows, pack);
}

#if XLENS_DEFINES(generate)
namespace detail {

inline void check_windows(const transformer<>& model, std::size_t tokens,
                          const perplexity_windows& cut) {
    if (cut.window < 2 || cut.window > model.config.context) {
        fail("window: expected 2 to {}, got {}", model.config.context, cut.window);
    }
    if (cut.stride < 1 || cut.stride > cut.window) {
        fail("stride: expected 1 to {}, the window, got {}", cut.window, cut.stride);
    }
    if (tokens < 2) { fail("perplexity: {} tokens, expected at least 2", tokens); }
}

XLENS_API perplexity_result perplexity_with(const transformer<>& model,
                                            std::span<const token_id> tokens,
                                            const perplexity_windows& cut,
                                            dynamic_policies& policies) {
    check_windows(model, tokens.size(), cut);
    const logit_lens lens(model);
    perplexity_result result;
    double total = 0.0;
    std::size_t predicted = 1;  // tokens [1, predicted) are; the first never is
    for (std::size_t start = 0; predicted < tokens.size(); start += cut.stride) {
        const auto text = tokens.subspan(start, std::min(cut.window, tokens.size() - start));
        sequence_state state = model.start();
        state.wanted = logit_rows::none;
        each_pass(model, state, text.first(text.size() - 1), cut.pass, [&](const text_pass& pass) {
            state.prompt = 1;  // every position is asked for the next token
            model.forward(state, pass.tokens, policies);
            // Row t of the pass predicts token start + pass.position + t + 1.
            const std::size_t count = pass.tokens.size();
            const std::size_t known = predicted - std::min(predicted, start + pass.position + 1);
            const std::size_t skip = std::min(count, known);
            const rows<const float> fresh =
                rows<const float>(state.residual).subrows(skip, count - skip);
            const auto targets = text.subspan(pass.position + skip + 1, count - skip);
            check_residual(fresh, state.exit_layer, pass.position + skip);
            if (count > skip) {
                for (const reading& r : lens.read(fresh, 0, targets)) { total -= r.target; }
            }
            result.tokens += count - skip;
            cut.progress(start + pass.position + count, tokens.size());
        });
        predicted = start + text.size();
    }
    if (result.tokens == 0) { fail("perplexity: no token can be predicted"); }
    result.nll = total / static_cast<double>(result.tokens);
    if (!std::isfinite(result.nll)) {
        fail("perplexity: the mean log-likelihood is {}, expected a finite number", result.nll);
    }
    return result;
}

}  // namespace detail
#endif

}  // namespace xlens
