// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>

#include <cstddef>
#include <vector>

#if XLENS_DEFINES(numerics)
#include <xlens/core/error.hpp>
#include <xlens/numerics/normal_draws.hpp>

#include <cmath>
#endif

namespace xlens {

/// u (n), of length one, with G·u = λ·u for the largest λ of a symmetric positive semidefinite G
/// (n, n); its sign is not fixed. Power iteration in double from drawn numbers, in a fixed order:
/// the same bits on every machine and for any number of threads. n² a step; the steps grow with
/// 1/log(λ_1/λ_2). Throws xlens::error for a G that is zero or not finite, and where the two
/// largest eigenvalues are so close (to some 10^-4) that there is no telling them apart.
[[nodiscard]] XLENS_API std::vector<double> top_eigenvector(const xt::xtensor<double, 2>& g);

#if XLENS_DEFINES(numerics)

XLENS_API std::vector<double> top_eigenvector(const xt::xtensor<double, 2>& g) {
    constexpr std::size_t most_steps = 100'000;
    constexpr double close_enough = 1e-11;
    const std::size_t n = g.shape(0);
    const auto unit = [](std::vector<double>& v) {
        double squares = 0.0;
        for (const double x : v) { squares = std::fma(x, x, squares); }
        const double length = std::sqrt(squares);
        for (double& x : v) { x /= length; }
        return length;
    };
    std::vector<double> u;
    normal_draws draw(0);
    for (std::size_t i = 0; i < n; ++i) { u.push_back(draw()); }
    unit(u);
    std::vector<double> next(n);
    for (std::size_t step = 0; step < most_steps; ++step) {
        for (std::size_t i = 0; i < n; ++i) {
            next[i] = 0.0;
            for (std::size_t j = 0; j < n; ++j) { next[i] = std::fma(g(i, j), u[j], next[i]); }
        }
        const double length = unit(next);
        if (!(length > 0.0) || !std::isfinite(length)) {
            fail("principal component: expected a matrix that is finite and not zero");
        }
        double moved = 0.0;
        for (std::size_t i = 0; i < n; ++i) { moved += std::abs(next[i] - u[i]); }
        u.swap(next);
        if (moved < close_enough) { return u; }
    }
    fail("principal component: the two largest are as large as each other; take more examples");
}

#endif

}  // namespace xlens
