// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/nn/unembedding.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#if XLENS_DEFINES(concepts)
#include <xlens/core/parallel.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/lens/unembedding_rows.hpp>
#include <xlens/numerics/cholesky.hpp>
#include <xlens/storage/matrix.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#endif

// Cosines of projections without projections. With the Gram matrix G = EᵀE (D, D),
//     ⟨E·v, E·w⟩ = vᵀ·G·w,
// and with any R for which RᵀR = G, ⟨E·v, E·w⟩ = ⟨R·v, R·w⟩: the vectors R·v have at most D
// elements where E·v has V, the same lengths and the same angles.

namespace xlens {

namespace detail {

/// Tokens of the unembedding that are decoded at one time. Their products are summed in f32, the
/// sums of tiles in double.
inline constexpr std::size_t gram_tile = 512;

}  // namespace detail

/// G = EᵀE (D, D). With `centred`, of the centred rows e_w - ē, ē = mean of all e_w: that of
/// log-probabilities, which do not change when a constant is added to all scores.
/// Two passes over E, 2·V·D² multiply-adds, memory 16·D² bytes and a tile.
/// `progress(done, total)` counts tokens. With `factors` (V) of f_w·e_w.
///
/// What all rows have in common (most of their length, in SmolLM2) is taken off before products are
/// rounded to f32, and put back in double: with any m, here about the mean, c_w = e_w - m and
/// s = Σ c_w,
///     Σ e_w·e_wᵀ = Σ c_w·c_wᵀ + m·sᵀ + s·mᵀ + V·m·mᵀ.
XLENS_API xt::xtensor<double, 2> gram_matrix(const unembedding<any_matrix>& e, bool centred,
                                             const progress_function& progress,
                                             std::span<const float> factors = {});

/// R (r, D) with RᵀR = G for a Gram matrix G (D, D) of rank r; see pivoted_cholesky.
XLENS_API xt::xtensor<float, 2> gram_root(const xt::xtensor<double, 2>& gram);

#if XLENS_DEFINES(concepts)

XLENS_API xt::xtensor<double, 2> gram_matrix(const unembedding<any_matrix>& e, bool centred,
                                             const progress_function& progress,
                                             std::span<const float> factors) {
    const std::size_t width = e.width();
    std::vector<float> mean = mean_unembedding(e);
    double factor = 0.0;
    for (const float f : factors) { factor += double{f} / static_cast<double>(factors.size()); }
    for (float& x : mean) { x *= factors.empty() ? 1.0F : static_cast<float>(factor); }
    xt::xtensor<double, 2> gram = xt::zeros<double>({width, width});
    std::vector<double> sum(width);
    xt::xtensor<float, 2> product = xt::empty<float>({width, width});
    xt::xtensor<float, 2> columns;
    std::size_t done = 0;
    for_each_tile(e, detail::gram_tile, [&](rows<float> tokens) {
        for (std::size_t r = 0; r < tokens.count() && !factors.empty(); ++r) {
            for (float& x : tokens[r]) { x *= factors[done + r]; }
        }
        columns.resize({width, tokens.count()});
        parallel_for(width, 8 * tokens.count(), [&](std::size_t d) {
            for (std::size_t r = 0; r < tokens.count(); ++r) {
                columns(d, r) = tokens[r][d] - mean[d];
                sum[d] += double{columns(d, r)};
            }
        });
        kernels::matmul(as_matrix(columns), columns, product);
        parallel_for(width, 4 * width, [&](std::size_t d) {
            for (std::size_t j = 0; j < width; ++j) { gram(d, j) += double{product(d, j)}; }
        });
        progress(done += tokens.count(), e.vocabulary());
    });
    const auto count = static_cast<double>(e.vocabulary());
    for (std::size_t i = 0; i < width; ++i) {
        for (std::size_t j = 0; j < width; ++j) {
            const double both = centred ? -sum[i] * sum[j] / count
                                        : double{mean[i]} * (sum[j] + count * double{mean[j]}) +
                                              sum[i] * double{mean[j]};
            gram(i, j) += both;
        }
    }
    return gram;
}

XLENS_API xt::xtensor<float, 2> gram_root(const xt::xtensor<double, 2>& gram) {
    // Entries of G are sums of products in f32.
    return pivoted_cholesky(gram, double{std::numeric_limits<float>::epsilon()});
}

#endif

}  // namespace xlens
