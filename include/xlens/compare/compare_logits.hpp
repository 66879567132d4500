// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/storage/rows.hpp>

#include <span>
#include <vector>

#if XLENS_DEFINES(compare)
#include <xlens/core/parallel.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#endif

namespace xlens {

/// How the distributions p_A and p_B over the vocabulary differ that two rows of logits stand for.
struct logit_difference {
    double kl = 0.0;         ///< KL(p_A ‖ p_B) = Σ_w p_A(w)·(log p_A(w) - log p_B(w)), nats
    double log_sum_a = 0.0;  ///< log Σ_w exp(a_w)
    double log_sum_b = 0.0;  ///< log Σ_w exp(b_w)
    token_id top_a = 0;      ///< the most probable token, of equals the lowest
    token_id top_b = 0;
    [[nodiscard]] bool same_top() const { return top_a == top_b; }
};

/// The difference of two rows (V) of finite logits. In double, in the order of the tokens: exactly
/// 0 nats for equal rows, and never below 0, where rounding alone would be. Two exponentials a
/// token.
XLENS_API logit_difference compare_logits(std::span<const float> a, std::span<const float> b);

/// Row by row (N, V), the rows shared out among threads.
XLENS_API std::vector<logit_difference> compare_logit_rows(rows<const float> a,
                                                           rows<const float> b);

#if XLENS_DEFINES(compare)

XLENS_API logit_difference compare_logits(std::span<const float> a, std::span<const float> b) {
    const auto best_a = std::ranges::max_element(a);
    const auto best_b = std::ranges::max_element(b);
    const double shift_a = *best_a;
    const double shift_b = *best_b;
    double sum_a = 0.0;
    double sum_b = 0.0;
    double moved = 0.0;  // Σ exp(a - shift)·(a - b)
    for (std::size_t w = 0; w < a.size(); ++w) {
        const double weight = std::exp(double{a[w]} - shift_a);
        sum_a += weight;
        sum_b += std::exp(double{b[w]} - shift_b);
        moved = std::fma(weight, double{a[w]} - double{b[w]}, moved);
    }
    logit_difference out;
    out.log_sum_a = std::log(sum_a) + shift_a;
    out.log_sum_b = std::log(sum_b) + shift_b;
    // log p_A - log p_B = (a - b) - (log_sum_a - log_sum_b), whose second part is the same for all.
    out.kl = std::max(0.0, moved / sum_a - (out.log_sum_a - out.log_sum_b));
    out.top_a = static_cast<token_id>(best_a - a.begin());
    out.top_b = static_cast<token_id>(best_b - b.begin());
    return out;
}

XLENS_API std::vector<logit_difference> compare_logit_rows(rows<const float> a,
                                                           rows<const float> b) {
    std::vector<logit_difference> out(a.count());
    constexpr std::size_t work = 64;  // of a token
    parallel_for(a.count(), work * a.width(),
                 [&](std::size_t t) { out[t] = compare_logits(a[t], b[t]); });
    return out;
}

#endif

}  // namespace xlens
