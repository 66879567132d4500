// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/numerics/random_draws.hpp>
#include <xlens/storage/matrix.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

namespace xlens::detail {

/// Vectors that meet the centroids together. What is summed over vectors is summed by chunks, in
/// their order, so that it does not depend on the number of threads.
inline constexpr std::size_t k_means_chunk = 256;

struct k_means_cosines;

/// Calls take(first, cosines (N, k)) for each chunk of N vectors of unit (n, D), with the rows of
/// `to` (k, D). Memory k_means_chunk·k floats a thread.
template <class Take>
void meet(rows<const float> unit, rows<const float> to, Take take) {
    const std::size_t k = to.count();
    const matrix<f32> w(reinterpret_cast<const std::byte*>(to.data()), k, to.width());
    const std::size_t chunks = (unit.count() + k_means_chunk - 1) / k_means_chunk;
    parallel_for(chunks, 2 * k_means_chunk * k * unit.width(), [&](std::size_t c) {
        const std::size_t first = c * k_means_chunk;
        const std::size_t count = std::min(k_means_chunk, unit.count() - first);
        const rows<float> cosines(kernels::scratch<k_means_cosines>(count * k), count, k);
        kernels::matmul(w, unit.subrows(first, count), cosines);
        take(first, cosines);
    });
}

/// The first centroids of k-means by greedy k-means++ (Arthur and Vassilvitskii 2007): each next
/// one is drawn with probability proportional to its gap, 1 - cos to the nearest so far, which for
/// vectors of length one is half of the squared distance; of 2 + ln k draws the one that leaves the
/// smallest sum of gaps is kept.
class k_means_seeding {
public:
    k_means_seeding(rows<const float> unit, std::size_t k, random_draws& draw);

    /// (k, D), or fewer rows where the vectors have fewer different directions. 2 + ln k cosines
    /// with every vector a centroid. `progress(done)` counts centroids.
    template <class Progress>
    xt::xtensor<float, 2> centroids(Progress progress) {
        xt::xtensor<float, 2> out = xt::empty<float>({m_k, m_unit.width()});
        std::vector<std::size_t> drawn{m_draw->below(m_unit.count())};
        for (std::size_t c = 0; c < m_k; ++c) {
            if (c > 0 && !draw_candidates(drawn)) {
                return xt::view(out, xt::range(std::size_t{0}, c), xt::all());
            }
            const auto chosen = m_unit[keep_best(drawn)];
            std::copy(chosen.begin(), chosen.end(), rows<float>(out)[c].begin());
            progress(c + 1);
        }
        return out;
    }

private:
    /// A gap below this is rounding: the same direction.
    static constexpr float same_direction = 1e-6F;

    /// False where no vector is left that has a direction of its own.
    bool draw_candidates(std::vector<std::size_t>& drawn);
    /// The candidate that leaves the smallest sum of gaps; the gaps become those that it leaves.
    std::size_t keep_best(const std::vector<std::size_t>& drawn);

    rows<const float> m_unit;
    std::size_t m_k;
    std::size_t m_trials;
    random_draws* m_draw;
    std::vector<float> m_gaps;           // n: 1 - cos to the nearest centroid
    std::vector<double> m_sums;          // n: of gaps, up to and with this one
    xt::xtensor<float, 2> m_candidates;  // (trials, D)
    xt::xtensor<float, 2> m_lowered;     // (n, trials)
};

#if XLENS_DEFINES(numerics)

XLENS_API k_means_seeding::k_means_seeding(rows<const float> unit, std::size_t k,
                                           random_draws& draw)
    : m_unit(unit),
      m_k(k),
      m_trials(2 + static_cast<std::size_t>(std::log(static_cast<double>(k)))),
      m_draw(&draw),
      m_gaps(unit.count(), 2.0F),
      m_sums(unit.count()) {}

XLENS_API bool k_means_seeding::draw_candidates(std::vector<std::size_t>& drawn) {
    double sum = 0.0;
    for (std::size_t i = 0; i < m_gaps.size(); ++i) { m_sums[i] = sum += double{m_gaps[i]}; }
    if (!(sum > 0.0)) { return false; }
    drawn.resize(m_trials);
    for (std::size_t& vector : drawn) { vector = m_draw->weighted(m_sums); }
    return true;
}

XLENS_API std::size_t k_means_seeding::keep_best(const std::vector<std::size_t>& drawn) {
    const std::size_t trials = drawn.size();
    m_candidates.resize({trials, m_unit.width()});
    for (std::size_t t = 0; t < trials; ++t) {
        const auto vector = m_unit[drawn[t]];
        std::copy(vector.begin(), vector.end(), rows<float>(m_candidates)[t].begin());
    }
    m_lowered.resize({m_gaps.size(), trials});
    meet(m_unit, m_candidates, [&](std::size_t first, rows<float> cosines) {
        for (std::size_t i = first; i < first + cosines.count(); ++i) {
            for (std::size_t t = 0; t < trials; ++t) {
                const float gap = 1.0F - cosines[i - first][t];
                m_lowered(i, t) = std::min(m_gaps[i], gap > same_direction ? gap : 0.0F);
            }
        }
    });
    std::vector<double> sums(trials);
    for (std::size_t i = 0; i < m_gaps.size(); ++i) {
        for (std::size_t t = 0; t < trials; ++t) { sums[t] += double{m_lowered(i, t)}; }
    }
    const auto best = static_cast<std::size_t>(std::ranges::min_element(sums) - sums.begin());
    for (std::size_t i = 0; i < m_gaps.size(); ++i) { m_gaps[i] = m_lowered(i, best); }
    return drawn[best];
}

#endif

}  // namespace xlens::detail
