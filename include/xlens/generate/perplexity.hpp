// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/generate/perplexity_windows.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/model/transformer.hpp>

#include <cmath>
#include <cstddef>
#include <span>

#if XLENS_DEFINES(generate)
#include <xlens/core/error.hpp>
#include <xlens/lens/logit_lens.hpp>
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

XLENS_API perplexity_result perplexity_with(const transformer<>& model,
                                            std::span<const token_id> tokens,
                                            const perplexity_windows& cut,
                                            dynamic_policies& policies) {
    const logit_lens lens(model);
    perplexity_result result;
    double total = 0.0;
    const auto read = [&](sequence_state& state, const predicting_pass& pass) {
        model.forward(state, pass.tokens, policies);
        const rows<const float> fresh =
            rows<const float>(state.residual).subrows(pass.skip, pass.targets.size());
        check_residual(fresh, state.exit_layer, pass.position + pass.skip);
        if (fresh.count() > 0) {
            for (const reading& r : lens.read(fresh, 0, pass.targets)) { total -= r.target; }
        }
        result.tokens += fresh.count();
    };
    each_prediction(model, tokens, cut, false, "perplexity", read);
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
