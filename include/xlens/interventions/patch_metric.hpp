// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>

#include <cstddef>
#include <span>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/core/token.hpp>

#include <algorithm>
#include <cmath>
#endif

namespace xlens {

/// One number of a prediction, by which patched runs are compared.
struct patch_metric {
    enum class kind {
        logit_difference,  ///< z_token - z_other
        probability,       ///< p_token
        kl_source,         ///< Σ_w s_w·log(s_w / p_w), s what the source predicts, in nats
        kl_prompt,         ///< the same, with what the prompt predicts in the place of s
    };
    kind what = kind::logit_difference;
    token_id token = 0;
    token_id other = 0;
};

/// Reads a metric from logits (V).
class metric_reader {
public:
    /// `reference` (V): the logits of what kl_source and kl_prompt compare with. Throws
    /// xlens::error for tokens that the vocabulary does not have, for a difference of a token and
    /// itself, and for a missing reference.
    metric_reader(const patch_metric& metric, std::size_t vocabulary,
                  std::span<const float> reference);

    /// In double; O(V) but for a difference. Throws xlens::error where it is not finite.
    [[nodiscard]] double operator()(std::span<const float> logits) const;

    /// Below this, a difference of two values of the metric is rounding: 10^-5 times the numbers
    /// that it is made of (10^-6 nats of a divergence).
    [[nodiscard]] double rounding(std::span<const float> logits) const;

private:
    /// log p_w of all w.
    [[nodiscard]] static std::vector<double> log_probabilities(std::span<const float> logits);

    patch_metric m_metric;
    std::vector<double> m_reference;  // log s_w
};

#if XLENS_DEFINES(interventions)

XLENS_API metric_reader::metric_reader(const patch_metric& metric, std::size_t vocabulary,
                                       std::span<const float> reference)
    : m_metric(metric) {
    using enum patch_metric::kind;
    const bool difference = metric.what == logit_difference;
    if (difference || metric.what == probability) {
        check_token(metric.token, vocabulary, "metric");
        if (!difference) { return; }
        check_token(metric.other, vocabulary, "metric");
        if (metric.token == metric.other) {
            fail("metric: expected two tokens, got {} twice", metric.token);
        }
        return;
    }
    if (reference.size() != vocabulary) {
        fail("metric: a divergence from {} logits, the vocabulary has {}", reference.size(),
             vocabulary);
    }
    m_reference = log_probabilities(reference);
}

XLENS_API double metric_reader::operator()(std::span<const float> logits) const {
    using enum patch_metric::kind;
    const auto at = [&](token_id id) { return double{logits[static_cast<std::size_t>(id)]}; };
    double out = 0.0;
    if (m_metric.what == logit_difference) {
        out = at(m_metric.token) - at(m_metric.other);
    } else {
        const std::vector<double> log_p = log_probabilities(logits);
        if (m_metric.what == probability) {
            out = std::exp(log_p[static_cast<std::size_t>(m_metric.token)]);
        } else {
            for (std::size_t w = 0; w < log_p.size(); ++w) {
                const double s = std::exp(m_reference[w]);
                if (s > 0.0) { out += s * (m_reference[w] - log_p[w]); }
            }
        }
    }
    if (!std::isfinite(out)) { fail("metric: expected a finite number, got {}", out); }
    return out;
}

XLENS_API double metric_reader::rounding(std::span<const float> logits) const {
    using enum patch_metric::kind;
    constexpr double relative = 1e-5;
    constexpr double of_divergence = 1e-6;
    const auto at = [&](token_id id) { return double{logits[static_cast<std::size_t>(id)]}; };
    if (m_metric.what == logit_difference) {
        return relative * std::max(std::abs(at(m_metric.token)), std::abs(at(m_metric.other)));
    }
    return m_metric.what == probability ? relative * (*this)(logits) : of_divergence;
}

XLENS_API std::vector<double> metric_reader::log_probabilities(std::span<const float> logits) {
    const double largest = double{*std::ranges::max_element(logits)};
    double sum = 0.0;
    for (const float z : logits) { sum += std::exp(double{z} - largest); }
    const double shift = largest + std::log(sum);
    std::vector<double> out;
    out.reserve(logits.size());
    for (const float z : logits) { out.push_back(double{z} - shift); }
    return out;
}

#endif

}  // namespace xlens
