// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/nn/unembedding.hpp>
#include <xlens/storage/matrix.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

// Cosines of projections without projections. With the Gram matrix G = EᵀE (D, D),
//     ⟨E·v, E·w⟩ = vᵀ·G·w,
// and with any R for which RᵀR = G, ⟨E·v, E·w⟩ = ⟨R·v, R·w⟩: the vectors R·v have at most D
// elements where E·v has V, the same lengths and the same angles.

namespace xlens {

namespace detail {

/// Tokens of the unembedding that are decoded at one time. Their products are summed in f32, the
/// sums of tiles in double.
inline constexpr std::size_t gram_tile = 512;

/// Calls visit(e_w of the next tokens (N, D)) for all of E in order, N <= gram_tile.
template <weight_matrix Weights, class Visit>
void for_each_tile(const unembedding<Weights>& e, Visit visit) {
    xt::xtensor<float, 2> tokens = xt::empty<float>({gram_tile, e.width()});
    xt::xtensor<float, 2> narrow;
    for (const auto& s : e.sections) {
        narrow.resize({s.projection ? gram_tile : std::size_t{0}, s.out.cols()});
        for (std::size_t first = 0; first < s.out.rows(); first += gram_tile) {
            const std::size_t count = std::min(gram_tile, s.out.rows() - first);
            const rows<float> wide = rows<float>(tokens).subrows(0, count);
            const rows<float> stored = s.projection ? rows<float>(narrow).subrows(0, count) : wide;
            parallel_for(count, 8 * s.out.cols(),
                         [&](std::size_t r) { s.out.row(first + r, stored[r]); });
            if (s.projection) { kernels::matmul_transposed(s.projection->in_f32(), stored, wide); }
            visit(rows<const float>(wide));
        }
    }
}

/// m = mean of all e_w (D), rounded to f32.
template <weight_matrix Weights>
std::vector<float> mean_token(const unembedding<Weights>& e) {
    std::vector<double> sum(e.width());
    for_each_tile(e, [&](rows<const float> tokens) {
        for (std::size_t r = 0; r < tokens.count(); ++r) {
            for (std::size_t d = 0; d < sum.size(); ++d) { sum[d] += double{tokens[r][d]}; }
        }
    });
    std::vector<float> mean(sum.size());
    for (std::size_t d = 0; d < sum.size(); ++d) {
        mean[d] = static_cast<float>(sum[d] / static_cast<double>(e.vocabulary()));
    }
    return mean;
}

}  // namespace detail

/// G = EᵀE (D, D). With `centred`, of the centred rows e_w - ē, ē = mean of all e_w: that of
/// log-probabilities, which do not change when a constant is added to all scores.
/// Two passes over E, 2·V·D² multiply-adds, memory 16·D² bytes and a tile.
/// `progress(done, total)` counts tokens.
///
/// What all rows have in common (most of their length, in SmolLM2) is taken off before products are
/// rounded to f32, and put back in double: with c_w = e_w - m and s = Σ c_w,
///     Σ e_w·e_wᵀ = Σ c_w·c_wᵀ + m·sᵀ + s·mᵀ + V·m·mᵀ.
template <weight_matrix Weights, class Progress>
xt::xtensor<double, 2> gram_matrix(const unembedding<Weights>& e, bool centred, Progress progress) {
    const std::size_t width = e.width();
    const std::vector<float> mean = detail::mean_token(e);
    xt::xtensor<double, 2> gram = xt::zeros<double>({width, width});
    std::vector<double> sum(width);
    xt::xtensor<float, 2> product = xt::empty<float>({width, width});
    xt::xtensor<float, 2> columns;
    std::size_t done = 0;
    detail::for_each_tile(e, [&](rows<const float> tokens) {
        columns.resize({width, tokens.count()});
        parallel_for(width, 8 * tokens.count(), [&](std::size_t d) {
            for (std::size_t r = 0; r < tokens.count(); ++r) {
                columns(d, r) = tokens[r][d] - mean[d];
                sum[d] += double{columns(d, r)};
            }
        });
        const matrix<f32> c(reinterpret_cast<const std::byte*>(columns.data()), width,
                            tokens.count());
        kernels::matmul(c, columns, product);
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

/// R (r, D) with RᵀR = G for a symmetric positive semidefinite G (D, D) of rank r: Cholesky's
/// factor with the largest remaining diagonal element as the next pivot, so that it ends when what
/// remains is rounding (Higham 2002, section 10.3). Columns keep the order of G's. O(r²·D).
inline xt::xtensor<float, 2> gram_root(const xt::xtensor<double, 2>& gram) {
    const std::size_t width = gram.shape(0);
    std::vector<double> diagonal(width);
    for (std::size_t d = 0; d < width; ++d) { diagonal[d] = gram(d, d); }
    // Entries of G are sums of products in f32.
    const double least =
        *std::ranges::max_element(diagonal) * double{std::numeric_limits<float>::epsilon()};
    xt::xtensor<double, 2> root = xt::zeros<double>({width, width});
    std::size_t rank = 0;
    for (; rank < width; ++rank) {
        const auto pivot =
            static_cast<std::size_t>(std::ranges::max_element(diagonal) - diagonal.begin());
        if (!(diagonal[pivot] > least)) { break; }
        const double scale = 1.0 / std::sqrt(diagonal[pivot]);
        constexpr std::size_t part = 64;
        parallel_for((width + part - 1) / part, 2 * part * (rank + 1), [&](std::size_t p) {
            const std::size_t end = std::min(width, (p + 1) * part);
            for (std::size_t j = p * part; j < end; ++j) { root(rank, j) = gram(pivot, j); }
            for (std::size_t m = 0; m < rank; ++m) {
                const double factor = root(m, pivot);
                for (std::size_t j = p * part; j < end; ++j) {
                    root(rank, j) -= factor * root(m, j);
                }
            }
            for (std::size_t j = p * part; j < end; ++j) {
                root(rank, j) *= scale;
                diagonal[j] -= root(rank, j) * root(rank, j);
            }
        });
        diagonal[pivot] = 0.0;
    }
    return xt::cast<float>(xt::view(root, xt::range(0, rank), xt::all()));
}

}  // namespace xlens
