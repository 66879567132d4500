// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/kernels/softmax.hpp>
#include <xlens/kernels/top_k.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace xlens {

/// A token chosen from logits, with its probability under the model (not under the sampler).
struct choice {
    token_id id = 0;
    float probability = 0.0F;
};

namespace detail {
inline choice chosen(token_id id, std::span<const float> logits) {
    return {id, std::exp(logits[static_cast<std::size_t>(id)] - kernels::log_sum_exp(logits))};
}
inline token_id best_of(std::span<const float> logits) {
    top_k best(1);
    best.offer_range(0, logits);
    const std::vector<scored> found = best.sorted();
    if (found.empty()) { fail("logits: none is a number"); }
    return found.front().id;
}
}  // namespace detail

/// Chooses the most probable token; of equals the lower id.
struct greedy {
    choice operator()(std::span<const float> logits) const {
        return detail::chosen(detail::best_of(logits), logits);
    }
};

/// Draws from softmax(logits / temperature), cut to the top_k most probable tokens and, of those, to
/// the smallest set whose probabilities sum to top_p (Holtzman et al. 2020, 1904.09751). The same
/// seed gives the same tokens on every machine and for any number of threads.
class sampler {
public:
    struct options {
        float temperature = 1.0F;  ///< 0: greedy
        std::size_t top_k = 0;     ///< 0: all
        float top_p = 1.0F;        ///< 1: all
        std::uint64_t seed = 0;
    };

    /// Throws xlens::error for a temperature below 0 or a top_p outside (0, 1].
    explicit sampler(const options& o) : m_options(o), m_random(o.seed) {
        if (!(o.temperature >= 0.0F) || std::isinf(o.temperature)) {
            fail("temperature: expected at least 0, got {}", o.temperature);
        }
        if (!(o.top_p > 0.0F) || o.top_p > 1.0F) {
            fail("top-p: expected above 0 and up to 1, got {}", o.top_p);
        }
    }

    choice operator()(std::span<const float> logits) {
        if (m_options.temperature == 0.0F) { return greedy{}(logits); }
        const bool cut = m_options.top_k > 0 && m_options.top_k < logits.size();
        top_k best(cut ? m_options.top_k : logits.size());
        best.offer_range(0, logits);
        const std::vector<scored> ranked = best.sorted();
        if (ranked.empty()) { fail("logits: none is a number"); }
        return detail::chosen(draw(ranked), logits);
    }

private:
    // Weights in double and a draw that uses 53 random bits by hand: std::discrete_distribution
    // differs between standard libraries.
    token_id draw(const std::vector<scored>& ranked) {
        std::vector<double> weights(ranked.size());
        double total = 0.0;
        for (std::size_t i = 0; i < ranked.size(); ++i) {
            const double gap = double{ranked[i].score} - double{ranked.front().score};
            weights[i] = std::exp(gap / double{m_options.temperature});
            total += weights[i];
        }
        const double kept = nucleus(weights, total);
        double left = static_cast<double>(m_random() >> 11U) * 0x1p-53 * kept;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            left -= weights[i];
            if (left < 0.0) { return ranked[i].id; }
        }
        return ranked[weights.size() - 1].id;
    }
    // Drops what lies outside the nucleus; returns the weight of the rest.
    [[nodiscard]] double nucleus(std::vector<double>& weights, double total) const {
        double kept = 0.0;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            kept += weights[i];
            if (kept >= double{m_options.top_p} * total) {
                weights.resize(i + 1);
                break;
            }
        }
        return kept;
    }

    options m_options;
    std::mt19937_64 m_random;
};

}  // namespace xlens
