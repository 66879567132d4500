// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/kernels/lanes.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

namespace xlens::kernels {

/// Index of the first number that is a NaN or an infinity; x.size() where there is none. O(n): one
/// subtraction and one addition a number, for v - v is 0 or a NaN.
[[nodiscard]] inline std::size_t first_not_finite(std::span<const float> x) {
    const auto zero_or_nan = [](const batch& v) {
        return v - v;  // NOLINT(misc-redundant-expression): a NaN of an infinity
    };
    if (sum_of(x, 0.0F, zero_or_nan) == 0.0F) { return x.size(); }
    const auto found = std::ranges::find_if(x, [](float v) { return !std::isfinite(v); });
    return static_cast<std::size_t>(found - x.begin());
}

}  // namespace xlens::kernels
