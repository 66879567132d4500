// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

namespace xlens {

/// x with A·x = b for a positive definite A, by conjugate gradients (Hestenes and Stiefel 1952).
/// `solve` inverts something near A, in place; the fewer steps, the nearer. Ends at a hundredth of
/// b's length in that measure: Newton's steps need no more. n products at most twice over, each a
/// call of `apply`.
template <class Apply, class Solve>
std::vector<double> conjugate_gradients(Apply apply, Solve solve, std::vector<double> b) {
    const auto product = [](const auto& u, const auto& v) {
        return std::inner_product(u.begin(), u.end(), v.begin(), 0.0);
    };
    std::vector<double> x(b.size(), 0.0);
    std::vector<double> near = b;
    solve(near);
    std::vector<double> direction = near;
    double squares = product(b, near);
    const double enough = 1e-4 * squares;
    for (std::size_t step = 0; step < 2 * b.size() && squares > enough; ++step) {
        const std::vector<double> image = apply(direction);
        const double length = squares / product(direction, image);
        for (std::size_t d = 0; d < b.size(); ++d) {
            x[d] += length * direction[d];
            b[d] -= length * image[d];
        }
        near = b;
        solve(near);
        const double before = std::exchange(squares, product(b, near));
        for (std::size_t d = 0; d < b.size(); ++d) {
            direction[d] = near[d] + squares / before * direction[d];
        }
    }
    return x;
}

}  // namespace xlens
