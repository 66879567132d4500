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
    /// What every window begins with, and counts: the tokens that the model expects before a text
    /// (model::prefix). After them a window has room for tokens of the text, at least one of which
    /// it predicts.
    std::vector<token_id> prefix = {};
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
/// that do not overlap it never is; with a prefix all tokens are.
/// Logits are streamed, never kept whole.
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
    const std::size_t before = cut.prefix.size();
    const std::size_t least = before == 0 ? 2 : before + 1;
    if (cut.window < least || cut.window > model.config.context) {
        fail("window: expected {} to {}, got {}", least, model.config.context, cut.window);
    }
    if (cut.stride < 1 || cut.stride > cut.window - before) {
        fail("stride: expected 1 to {}, the window{}, got {}", cut.window - before,
             before == 0 ? "" : " without what begins it", cut.stride);
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
    const std::size_t room = cut.window - cut.prefix.size();  // of a window, for the text
    // Tokens [.., predicted) are; without a prefix the first never is.
    std::size_t predicted = cut.prefix.empty() ? 1 : 0;
    for (std::size_t start = 0; predicted < tokens.size(); start += cut.stride) {
        const auto part = tokens.subspan(start, std::min(room, tokens.size() - start));
        const std::vector<token_id> all = with_prefixes(part, cut.window, cut.prefix);
        const std::span<const token_id> text(all);
        // Row q of the window predicts its row q + 1; the first of these that is to be predicted:
        const std::size_t fresh_row = cut.prefix.size() + (predicted - start);
        sequence_state state = model.start();
        state.wanted = logit_rows::none;
        each_pass(model, state, text.first(text.size() - 1), cut.pass, [&](const text_pass& pass) {
            state.prompt = 1;  // every position is asked for the next token
            model.forward(state, pass.tokens, policies);
            const std::size_t count = pass.tokens.size();
            const std::size_t known = fresh_row - std::min(fresh_row, pass.position + 1);
            const std::size_t skip = std::min(count, known);
            const rows<const float> fresh =
                rows<const float>(state.residual).subrows(skip, count - skip);
            const auto targets = text.subspan(pass.position + skip + 1, count - skip);
            check_residual(fresh, state.exit_layer, pass.position + skip);
            if (count > skip) {
                for (const reading& r : lens.read(fresh, 0, targets)) { total -= r.target; }
            }
            result.tokens += count - skip;
            cut.progress(std::min(start + pass.position + count, tokens.size()), tokens.size());
        });
        predicted = start + text.size() - cut.prefix.size();
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
