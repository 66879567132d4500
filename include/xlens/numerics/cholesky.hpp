// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(numerics)
#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>

#include <algorithm>
#endif

namespace xlens {

/// Cholesky factor L of a positive definite matrix, in place: a = L·Lᵀ, L in its lower triangle.
/// Throws xlens::error where it is not positive definite; `name` begins the message. O(n³/3).
XLENS_API void cholesky(xt::xtensor<double, 2>& a, std::string_view name);

/// Solves L·Lᵀ·x = b, in place: `l` as `cholesky` left it, b (n). O(n²).
XLENS_API void solve_cholesky(const xt::xtensor<double, 2>& l, std::span<double> b);

/// R (r, n) with RᵀR = a for a symmetric positive semidefinite a (n, n) of rank r: Cholesky's
/// factor with the largest remaining diagonal element as the next pivot, so that it ends when what
/// remains is at most `rounding` times the largest of a (Higham 2002, section 10.3). Columns keep
/// the order of a's. O(r²·n).
XLENS_API xt::xtensor<float, 2> pivoted_cholesky(const xt::xtensor<double, 2>& a, double rounding);

#if XLENS_DEFINES(numerics)

XLENS_API void cholesky(xt::xtensor<double, 2>& a, std::string_view name) {
    const std::size_t n = a.shape(0);
    for (std::size_t j = 0; j < n; ++j) {
        double pivot = a(j, j);
        for (std::size_t k = 0; k < j; ++k) { pivot -= a(j, k) * a(j, k); }
        if (!(pivot > 0.0)) { fail("{}: the sums of column {} are not positive", name, j); }
        const double root = std::sqrt(pivot);
        a(j, j) = root;
        parallel_for(n - j - 1, 2 * j + 1, [&](std::size_t below) {
            const std::size_t i = j + 1 + below;
            double sum = a(i, j);
            for (std::size_t k = 0; k < j; ++k) { sum -= a(i, k) * a(j, k); }
            a(i, j) = sum / root;
        });
    }
}

XLENS_API void solve_cholesky(const xt::xtensor<double, 2>& l, std::span<double> b) {
    const std::size_t n = l.shape(0);
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t k = 0; k < i; ++k) { b[i] -= l(i, k) * b[k]; }
        b[i] /= l(i, i);
    }
    for (std::size_t i = n; i-- > 0;) {
        b[i] /= l(i, i);
        for (std::size_t k = 0; k < i; ++k) { b[k] -= l(i, k) * b[i]; }
    }
}

XLENS_API xt::xtensor<float, 2> pivoted_cholesky(const xt::xtensor<double, 2>& a, double rounding) {
    const std::size_t width = a.shape(0);
    std::vector<double> diagonal(width);
    for (std::size_t d = 0; d < width; ++d) { diagonal[d] = a(d, d); }
    const double least = *std::ranges::max_element(diagonal) * rounding;
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
            for (std::size_t j = p * part; j < end; ++j) { root(rank, j) = a(pivot, j); }
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

#endif

}  // namespace xlens
