// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/lens/linear_lens.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>

#if XLENS_DEFINES(lens)
#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/numerics/cholesky.hpp>
#endif

namespace xlens {

namespace detail {

/// aᵀ·b of blocks with as many rows: a (N, P), b (N, Q) -> (P, Q).
XLENS_API xt::xtensor<float, 2> product_of_columns(rows<const float> a, rows<const float> b);

}  // namespace detail

/// Ridge regression of the final residual on a layer's, both of unit RMS, with a constant:
///   A, b = argmin Σ_n ‖A·x̂_n + b - ŷ_n‖² + ridge·(‖A‖² + ‖b‖²)
/// Gathers sums, so that the examples may come in parts and need not be kept. Memory O(D²).
class ridge_fit {
public:
    explicit ridge_fit(std::size_t width);

    /// `from` (N, D) after the layer, `to` (N, D) after the last one.
    void add(rows<const float> from, rows<const float> to);

    /// Throws xlens::error without examples. Cost O(D³).
    [[nodiscard]] translator solve(double ridge = 1.0) const;

private:
    xt::xtensor<double, 2> m_gram;   // Σ x̂·x̂ᵀ, x̂ with a constant 1 at its end
    xt::xtensor<double, 2> m_cross;  // Σ ŷ·x̂ᵀ
    std::size_t m_count = 0;
};

#if XLENS_DEFINES(lens)

namespace detail {

XLENS_API xt::xtensor<float, 2> product_of_columns(rows<const float> a, rows<const float> b) {
    const auto transposed = [](rows<const float> x) {
        xt::xtensor<float, 2> out = xt::empty<float>({x.width(), x.count()});
        parallel_for(x.width(), x.count(), [&](std::size_t d) {
            for (std::size_t n = 0; n < x.count(); ++n) { out(d, n) = x[n][d]; }
        });
        return out;
    };
    const xt::xtensor<float, 2> left = transposed(a);
    const xt::xtensor<float, 2> right = transposed(b);
    xt::xtensor<float, 2> out = xt::empty<float>({a.width(), b.width()});
    kernels::matmul(as_matrix(right), left, out);
    return out;
}

}  // namespace detail

XLENS_API ridge_fit::ridge_fit(std::size_t width)
    : m_gram(xt::zeros<double>({width + 1, width + 1})),
      m_cross(xt::zeros<double>({width, width + 1})) {}

XLENS_API void ridge_fit::add(rows<const float> from, rows<const float> to) {
    const std::size_t width = from.width();
    xt::xtensor<float, 2> x = xt::ones<float>({from.count(), width + 1});
    unit_rms(from, rows<float>(x).columns(0, width));
    xt::xtensor<float, 2> y = xt::empty<float>({to.count(), width});
    unit_rms(to, y);
    m_gram += detail::product_of_columns(x, x);
    m_cross += detail::product_of_columns(y, x);
    m_count += from.count();
}

XLENS_API translator ridge_fit::solve(double ridge) const {
    if (m_count == 0) { fail("linear lens: 0 examples, expected at least 1"); }
    const std::size_t width = m_cross.shape(0);
    xt::xtensor<double, 2> factor = m_gram;
    for (std::size_t i = 0; i <= width; ++i) { factor(i, i) += ridge; }
    cholesky(factor, "linear lens");
    xt::xtensor<double, 2> solved = m_cross;
    parallel_for(width, width * width, [&](std::size_t d) {
        solve_cholesky(factor, {&solved(d, 0), width + 1});
    });
    translator out{xt::empty<float>({width, width}), xt::empty<float>({width})};
    for (std::size_t d = 0; d < width; ++d) {
        for (std::size_t i = 0; i < width; ++i) {
            out.weights(d, i) = static_cast<float>(solved(d, i));
        }
        out.bias(d) = static_cast<float>(solved(d, width));
    }
    return out;
}

#endif

}  // namespace xlens
