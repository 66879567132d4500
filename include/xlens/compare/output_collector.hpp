// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/compare/compare_options.hpp>
#include <xlens/compare/comparison.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/generate/perplexity_windows.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <span>
#include <vector>

#if XLENS_DEFINES(compare)
#include <xlens/compare/compare_logits.hpp>
#include <xlens/kernels/top_k.hpp>

#include <algorithm>
#include <cmath>
#endif

namespace xlens::detail {

/// Collects the predictions of both models, pass by pass in the order of the text, and sums them up
/// in that order. Keeps some numbers a position, never a row of logits.
class output_collector {
public:
    explicit output_collector(const compare_options& options)
        : m_most(options.positions), m_top(options.top) {}

    /// Logits (N, V) of the rows of a pass from `pass.skip` on.
    void add(rows<const float> a, rows<const float> b, const predicting_pass& pass);
    [[nodiscard]] output_difference result();

private:
    void keep(compared_position position, std::span<const float> a, std::span<const float> b,
              double log_sum_a, double log_sum_b);
    [[nodiscard]] reading read(std::span<const float> logits, double log_sum) const;

    std::size_t m_most;
    std::size_t m_top;
    output_difference m_found;
    // A number a position.
    std::vector<double> m_kl;
    std::vector<double> m_same;
    std::vector<double> m_log_a;
    std::vector<double> m_log_b;
};

#if XLENS_DEFINES(compare)

XLENS_API void output_collector::add(rows<const float> a, rows<const float> b,
                                     const predicting_pass& pass) {
    const std::vector<logit_difference> found = compare_logit_rows(a, b);
    for (std::size_t t = 0; t < found.size(); ++t) {
        const logit_difference& d = found[t];
        compared_position here;
        here.predicted = pass.predicted + t;
        here.read = pass.tokens[pass.skip + t];
        here.kl = d.kl;
        if (t < pass.targets.size()) {
            here.next = pass.targets[t];
            const auto w = static_cast<std::size_t>(here.next);
            here.log_a = double{a[t][w]} - d.log_sum_a;
            here.log_b = double{b[t][w]} - d.log_sum_b;
            if (m_kl.empty() || d.kl > m_found.kl_max) {
                m_found.kl_max = d.kl;
                m_found.kl_max_at = here.predicted;
            }
            m_kl.push_back(d.kl);
            m_same.push_back(d.same_top() ? 1.0 : 0.0);
            m_log_a.push_back(here.log_a);
            m_log_b.push_back(here.log_b);
        }
        keep(std::move(here), a[t], b[t], d.log_sum_a, d.log_sum_b);
    }
}

/// Of equal KL the earlier position comes first.
XLENS_API void output_collector::keep(compared_position position, std::span<const float> a,
                                      std::span<const float> b, double log_sum_a,
                                      double log_sum_b) {
    std::vector<compared_position>& largest = m_found.largest;
    const bool at_end = position.next < 0;
    const bool full = largest.size() >= m_most;
    const bool large =
        position.kl > 0.0 && m_most > 0 && (!full || position.kl > largest.back().kl);
    if (!at_end && !large) { return; }
    position.a = read(a, log_sum_a);
    position.b = read(b, log_sum_b);
    if (at_end) {
        m_found.end = std::move(position);
        return;
    }
    if (full) { largest.pop_back(); }
    const auto smaller = [&](const compared_position& p) { return p.kl < position.kl; };
    largest.insert(std::ranges::find_if(largest, smaller), std::move(position));
}

XLENS_API reading output_collector::read(std::span<const float> logits, double log_sum) const {
    top_k best(m_top);
    best.offer_range(0, logits);
    return {best.sorted(), static_cast<float>(log_sum), 0.0F};
}

XLENS_API output_difference output_collector::result() {
    output_difference out = std::move(m_found);
    const std::size_t count = m_kl.size();
    out.positions = count;
    out.kl = estimate_mean(m_kl);
    out.agreement = estimate_mean(m_same);
    out.nll_a = -estimate_mean(m_log_a).mean;
    out.nll_b = -estimate_mean(m_log_b).mean;
    std::vector<double> lost(count);     // log p_A - log p_B of the next token
    std::vector<double> changed(count);  // its size
    std::vector<double> gained(count);   // p_B - p_A
    std::vector<double> squares(count);
    for (std::size_t t = 0; t < count; ++t) {
        lost[t] = m_log_a[t] - m_log_b[t];
        changed[t] = std::abs(lost[t]);
        gained[t] = std::exp(m_log_b[t]) - std::exp(m_log_a[t]);
        squares[t] = gained[t] * gained[t];
    }
    out.log_ratio = estimate_mean(lost);
    out.log_change = estimate_mean(changed).mean;
    out.probability_change = estimate_mean(gained);
    out.probability_rms = std::sqrt(estimate_mean(squares).mean);
    std::ranges::sort(m_kl);
    out.kl_median = quantile(m_kl, 0.5);
    out.kl_95 = quantile(m_kl, 0.95);
    out.kl_99 = quantile(m_kl, 0.99);
    return out;
}

#endif

}  // namespace xlens::detail
