// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/numerics/splitmix64.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/numerics/normal_draws.hpp>
#include <xlens/numerics/top_eigenvector.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#endif

namespace xlens {

/// What holding pairs out found (direction_separation of interventions/fit_directions.hpp).
struct held_out_pairs {
    double share = 0.0;
    double margin = 0.0;
    double random = 0.0;
    double random_high = 0.0;
};

/// Pairs of vectors, and directions made of them. All that is asked of a direction are its products
/// with the pairs' differences; a direction is a weighted sum of vectors, so that these follow from
/// the products of the vectors with each other, which are taken once: O(n²·D), then O(n²) a fold.
class pair_geometry {
public:
    /// vectors (2n, D): rows 2i and 2i + 1 are the positive and the negative one of pair i.
    explicit pair_geometry(const xt::xtensor<double, 2>& vectors);

    /// The mean difference, or the first principal component of the differences about zero, as long
    /// as the mean difference along it, and towards the positive vectors. Throws xlens::error as
    /// top_eigenvector does.
    [[nodiscard]] std::vector<double> direction(bool pca) const;

    /// Pair i is held out in fold i mod folds; 2 <= folds <= n. Throws as above.
    [[nodiscard]] held_out_pairs hold_out(bool pca, std::size_t folds, std::size_t random,
                                          std::uint64_t seed) const;

private:
    /// Weights w of the differences of some pairs: the direction is Σ_i w_i·δ_i.
    [[nodiscard]] std::vector<double> weights(bool pca, std::span<const std::size_t> pairs) const;

    const xt::xtensor<double, 2>* m_vectors;
    xt::xtensor<double, 2> m_differences;  // (n, D): δ_i
    xt::xtensor<double, 2> m_gram;         // (n, n): ⟨δ_i, δ_j⟩
};

#if XLENS_DEFINES(interventions)

namespace detail {

/// ⟨a_i, b_j⟩ of rows (n, D) and (k, D), in double, elements in their order.
inline xt::xtensor<double, 2> products_of(const xt::xtensor<double, 2>& a,
                                          const xt::xtensor<double, 2>& b) {
    xt::xtensor<double, 2> out = xt::zeros<double>({a.shape(0), b.shape(0)});
    parallel_for(a.shape(0), 2 * b.size(), [&](std::size_t i) {
        for (std::size_t j = 0; j < b.shape(0); ++j) {
            double sum = 0.0;
            for (std::size_t d = 0; d < a.shape(1); ++d) { sum = std::fma(a(i, d), b(j, d), sum); }
            out(i, j) = sum;
        }
    });
    return out;
}

/// What is left of numbers that are further along than not: 1 of a positive one, half of a zero.
inline double count_positive(double x) { return x > 0.0 ? 1.0 : x == 0.0 ? 0.5 : 0.0; }

}  // namespace detail

XLENS_API pair_geometry::pair_geometry(const xt::xtensor<double, 2>& vectors)
    : m_vectors(&vectors),
      m_differences(xt::empty<double>({vectors.shape(0) / 2, vectors.shape(1)})) {
    for (std::size_t i = 0; i < m_differences.shape(0); ++i) {
        for (std::size_t d = 0; d < vectors.shape(1); ++d) {
            m_differences(i, d) = vectors(2 * i, d) - vectors(2 * i + 1, d);
        }
    }
    m_gram = detail::products_of(m_differences, m_differences);
}

XLENS_API std::vector<double> pair_geometry::weights(bool pca,
                                                     std::span<const std::size_t> pairs) const {
    const std::size_t n = pairs.size();
    const auto count = static_cast<double>(n);
    if (!pca) { return std::vector<double>(n, 1.0 / count); }
    xt::xtensor<double, 2> g = xt::empty<double>({n, n});
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j < n; ++j) { g(i, j) = m_gram(pairs[i], pairs[j]); }
    }
    // With u of G the component is v = Σ u_i·δ_i, of length √λ, and ⟨v, δ_j⟩ = (G·u)_j.
    std::vector<double> u = top_eigenvector(g);
    double along = 0.0;
    double squares = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
        double product = 0.0;
        for (std::size_t j = 0; j < n; ++j) { product = std::fma(g(i, j), u[j], product); }
        along += product / count;
        squares = std::fma(u[i], product, squares);
    }
    // Of length one it is v/√λ, and the mean difference along that is `along`/√λ.
    for (double& w : u) { w *= along / squares; }
    return u;
}

XLENS_API std::vector<double> pair_geometry::direction(bool pca) const {
    std::vector<std::size_t> all(m_gram.shape(0));
    std::iota(all.begin(), all.end(), std::size_t{0});
    const std::vector<double> w = weights(pca, all);
    std::vector<double> out(m_differences.shape(1), 0.0);
    for (std::size_t i = 0; i < w.size(); ++i) {
        for (std::size_t d = 0; d < out.size(); ++d) {
            out[d] = std::fma(w[i], m_differences(i, d), out[d]);
        }
    }
    return out;
}

XLENS_API held_out_pairs pair_geometry::hold_out(bool pca, std::size_t folds, std::size_t random,
                                                 std::uint64_t seed) const {
    const std::size_t n = m_gram.shape(0);
    // ⟨x_k, δ_j⟩ (2n, n): of random directions, which are sums of vectors.
    const xt::xtensor<double, 2> across = detail::products_of(*m_vectors, m_differences);
    std::vector<double> along(n);  // ⟨d/‖d‖, δ_j⟩ of held-out pairs
    std::vector<double> found(random, 0.0);
    double right = 0.0;
    for (std::size_t fold = 0; fold < folds; ++fold) {
        std::vector<std::size_t> kept;
        for (std::size_t i = 0; i < n; ++i) {
            if (i % folds != fold) { kept.push_back(i); }
        }
        const std::vector<double> w = weights(pca, kept);
        const auto product = [&](std::size_t j) {
            double sum = 0.0;
            for (std::size_t i = 0; i < w.size(); ++i) {
                sum = std::fma(w[i], m_gram(kept[i], j), sum);
            }
            return sum;
        };
        double squares = 0.0;
        for (std::size_t i = 0; i < w.size(); ++i) { squares += w[i] * product(kept[i]); }
        for (std::size_t j = fold; j < n; j += folds) {
            along[j] = squares > 0.0 ? product(j) / std::sqrt(squares) : 0.0;
            right += detail::count_positive(along[j]);
        }
        parallel_for(random, 4 * n * n, [&](std::size_t r) {
            // d = Σ_k g_k·(x_k - x̄) over the vectors that are kept: of their covariance.
            normal_draws draw(seed, fold * random + r);
            std::vector<double> g(2 * n, 0.0);
            double sum = 0.0;
            for (const std::size_t i : kept) {
                for (const std::size_t k : {2 * i, 2 * i + 1}) { sum += g[k] = draw(); }
            }
            const double mean = sum / static_cast<double>(2 * kept.size());
            for (const std::size_t i : kept) {
                for (const std::size_t k : {2 * i, 2 * i + 1}) { g[k] -= mean; }
            }
            const auto drawn = [&](std::size_t j) {
                double s = 0.0;
                for (std::size_t k = 0; k < 2 * n; ++k) { s = std::fma(g[k], across(k, j), s); }
                return s;
            };
            double towards = 0.0;
            for (const std::size_t i : kept) { towards += drawn(i); }
            for (std::size_t j = fold; j < n; j += folds) {
                found[r] += detail::count_positive(towards < 0.0 ? -drawn(j) : drawn(j));
            }
        });
    }
    const auto count = static_cast<double>(n);
    held_out_pairs out;
    out.share = right / count;
    double mean = 0.0;
    for (const double a : along) { mean += a / count; }
    double squares = 0.0;
    for (const double a : along) { squares += (a - mean) * (a - mean) / count; }
    out.margin = squares > 0.0 ? mean / std::sqrt(squares) : 0.0;
    if (random == 0) { return out; }
    std::ranges::sort(found);
    for (const double f : found) { out.random += f / count / static_cast<double>(random); }
    out.random_high = found[random - 1 - random / 20] / count;
    return out;
}

#endif

}  // namespace xlens
