// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/storage/rows.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(concepts)
#include <xlens/core/parallel.hpp>
#include <xlens/numerics/moments.hpp>
#include <xlens/numerics/normal_draws.hpp>
#endif

namespace xlens {

/// Mean and standard deviation of every coordinate of some vectors (N, D).
struct vector_moments {
    std::vector<float> mean;       ///< (D)
    std::vector<float> deviation;  ///< (D)

    vector_moments() = default;
    explicit vector_moments(rows<const float> vectors);
};

/// The control for a claim about vectors: Gaussian vectors whose coordinates have the mean and the
/// variance of theirs, the baseline of Geva et al. 2022, section 4. Vector i is made of stream
/// `first` + i of the seed and of nothing else, so that any number of threads makes the same ones,
/// and so does every machine.
class random_vectors {
public:
    explicit random_vectors(vector_moments like, std::uint64_t seed, std::uint64_t first = 0)
        : m_like(std::move(like)), m_seed(seed), m_first(first) {}

    [[nodiscard]] std::size_t width() const { return m_like.mean.size(); }
    [[nodiscard]] const vector_moments& moments() const { return m_like; }

    /// out = vector i (D).
    void operator()(std::size_t i, std::span<float> out) const;
    /// Vectors [first, first + count) (count, D).
    [[nodiscard]] xt::xtensor<float, 2> some(std::size_t first, std::size_t count) const;

private:
    vector_moments m_like;
    std::uint64_t m_seed;
    std::uint64_t m_first;
};

#if XLENS_DEFINES(concepts)

XLENS_API vector_moments::vector_moments(rows<const float> vectors) {
    const column_moments found(vectors);
    for (const double x : found.mean) { mean.push_back(static_cast<float>(x)); }
    for (const double x : found.deviation) { deviation.push_back(static_cast<float>(x)); }
}

XLENS_API void random_vectors::operator()(std::size_t i, std::span<float> out) const {
    normal_draws normal(m_seed, m_first + i);
    for (std::size_t d = 0; d < out.size(); ++d) {
        out[d] = std::fma(m_like.deviation[d], static_cast<float>(normal()), m_like.mean[d]);
    }
}

XLENS_API xt::xtensor<float, 2> random_vectors::some(std::size_t first, std::size_t count) const {
    xt::xtensor<float, 2> out = xt::empty<float>({count, width()});
    constexpr std::size_t work = 64;  // of one normal number
    parallel_for(count, work * width(),
                 [&](std::size_t i) { (*this)(first + i, rows<float>(out)[i]); });
    return out;
}

#endif

}  // namespace xlens
