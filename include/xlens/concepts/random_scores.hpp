// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>
#include <utility>
#include <vector>

namespace xlens {

/// What random vectors score (concepts/random_vectors.hpp): how high a score gets by chance. Higher
/// is better. A score that is not a number is left out.
class random_scores {
public:
    explicit random_scores(std::vector<float> scores) : m_scores(std::move(scores)) {
        std::erase_if(m_scores, [](float x) { return std::isnan(x); });
        if (m_scores.empty()) { fail("control: expected the scores of random vectors, got none"); }
        std::ranges::sort(m_scores, std::greater<>());
    }

    [[nodiscard]] std::size_t count() const { return m_scores.size(); }
    [[nodiscard]] float best() const { return m_scores.front(); }
    [[nodiscard]] double mean() const {
        const double sum = std::accumulate(m_scores.rbegin(), m_scores.rend(), 0.0);
        return sum / static_cast<double>(count());
    }
    /// The share of the random vectors that score as high or higher.
    [[nodiscard]] double share(float score) const {
        const auto below = std::ranges::upper_bound(m_scores, score, std::greater<>());
        return static_cast<double>(below - m_scores.begin()) / static_cast<double>(count());
    }

private:
    std::vector<float> m_scores;  // best first
};

}  // namespace xlens
