// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>

#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#if XLENS_DEFINES(concepts)
#include <xlens/core/error.hpp>

#include <algorithm>
#include <functional>
#include <numeric>
#endif

namespace xlens {

/// What random vectors score (concepts/random_vectors.hpp): how high a score gets by chance. Higher
/// is better. A score that is not a number is left out.
class random_scores {
public:
    explicit random_scores(std::vector<float> scores);

    [[nodiscard]] std::size_t count() const { return m_scores.size(); }
    [[nodiscard]] float best() const { return m_scores.front(); }
    [[nodiscard]] double mean() const;
    /// The share of the random vectors that score as high or higher.
    [[nodiscard]] double share(float score) const;

private:
    std::vector<float> m_scores;  // best first
};

#if XLENS_DEFINES(concepts)

XLENS_API random_scores::random_scores(std::vector<float> scores) : m_scores(std::move(scores)) {
    std::erase_if(m_scores, [](float x) { return std::isnan(x); });
    if (m_scores.empty()) { fail("control: expected the scores of random vectors, got none"); }
    std::ranges::sort(m_scores, std::greater<>());
}

XLENS_API double random_scores::mean() const {
    const double sum = std::accumulate(m_scores.rbegin(), m_scores.rend(), 0.0);
    return sum / static_cast<double>(count());
}

XLENS_API double random_scores::share(float score) const {
    const auto below = std::ranges::upper_bound(m_scores, score, std::greater<>());
    return static_cast<double>(below - m_scores.begin()) / static_cast<double>(count());
}

#endif

}  // namespace xlens
