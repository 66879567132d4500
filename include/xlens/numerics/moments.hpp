// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/rows.hpp>

#include <cmath>
#include <cstddef>
#include <vector>

namespace xlens {

/// Mean and standard deviation of every coordinate of some vectors (N, D), in double and in a fixed
/// order: first the means, then Σ (x - mean)² / N about them. Two passes, O(N·D).
struct column_moments {
    std::vector<double> mean;       ///< (D)
    std::vector<double> deviation;  ///< (D)

    explicit column_moments(rows<const float> vectors)
        : mean(vectors.width(), 0.0), deviation(vectors.width(), 0.0) {
        const auto each = [&](auto visit) {
            for (std::size_t n = 0; n < vectors.count(); ++n) {
                const std::span<const float> v = vectors[n];
                for (std::size_t d = 0; d < v.size(); ++d) { visit(d, double{v[d]}); }
            }
        };
        const auto count = static_cast<double>(vectors.count());
        each([&](std::size_t d, double x) { mean[d] += x; });
        for (double& m : mean) { m /= count; }
        // Fused by name, so that no compiler's choice changes the bits.
        each([&](std::size_t d, double x) {
            deviation[d] = std::fma(x - mean[d], x - mean[d], deviation[d]);
        });
        for (double& s : deviation) { s = std::sqrt(s / count); }
    }
};

}  // namespace xlens
