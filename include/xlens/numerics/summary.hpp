// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>

#include <cstddef>
#include <span>

#if XLENS_DEFINES(numerics)
#include <algorithm>
#include <cmath>
#include <limits>
#endif

namespace xlens {

/// A mean, and its standard error: how far off it may be by chance, the values taken as independent
/// of each other.
struct mean_estimate {
    double mean = 0.0;
    double error = 0.0;
};

/// Mean of n values, and √(Σ(x - mean)² / (n·(n - 1))), in two passes in their order. The error of
/// fewer than two values is NaN, and so is the mean of none.
XLENS_API mean_estimate estimate_mean(std::span<const double> values);

/// The q-quantile, 0 <= q <= 1, of values in rising order: between the two that stand around place
/// q·(n - 1), counted from 0, by linear interpolation (type 7 of Hyndman and Fan 1996; NumPy's
/// default). NaN of none.
XLENS_API double quantile(std::span<const double> sorted, double q);

#if XLENS_DEFINES(numerics)

XLENS_API mean_estimate estimate_mean(std::span<const double> values) {
    const auto count = static_cast<double>(values.size());
    mean_estimate out;
    for (const double x : values) { out.mean += x; }
    out.mean /= count;
    // Fused by name, so that no compiler's choice changes the bits.
    for (const double x : values) { out.error = std::fma(x - out.mean, x - out.mean, out.error); }
    out.error = values.size() < 2 ? std::numeric_limits<double>::quiet_NaN()
                                  : std::sqrt(out.error / count / (count - 1.0));
    return out;
}

XLENS_API double quantile(std::span<const double> sorted, double q) {
    if (sorted.empty()) { return std::numeric_limits<double>::quiet_NaN(); }
    const double place = q * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    const double part = place - static_cast<double>(below);
    return part == 0.0 ? sorted[below] : sorted[below] + part * (sorted[above] - sorted[below]);
}

#endif

}  // namespace xlens
