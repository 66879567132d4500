// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cmath>
#include <limits>
#include <span>
#include <xlens/core/compiled.hpp>

#if XLENS_DEFINES(kernels)
#include <xlens/core/simd.hpp>
#include <xlens/kernels/lanes.hpp>
#endif

namespace xlens::kernels {

/// x_i = exp(c·x_i - c·max x) / Σ_j exp(c·x_j - c·max x), c > 0, in place. -inf gives 0; a row of
/// nothing else gives zeros. A NaN or +inf makes the whole row NaN. An empty row is left alone.
XLENS_API void softmax(std::span<float> x, float c = 1.0F);

/// log Σ_i exp(x_i), without overflow. -inf for an empty row or one of -inf; +inf if there is one;
/// NaN if there is a NaN.
XLENS_API float log_sum_exp(std::span<const float> x);

#if XLENS_DEFINES(kernels)
XLENS_API void softmax(std::span<float> x, float c) {
    const float largest = c * maximum(x);
    const batch shift(std::isinf(largest) && largest < 0.0F ? 0.0F : largest);
    const batch scale(c);
    const float sum = transform_and_sum(
        x, [=](const batch& v) { return xsimd::exp(multiply_subtract(scale, v, shift)); });
    const batch divisor(sum == 0.0F ? 1.0F : sum);
    transform(x, [divisor](const batch& v) { return v / divisor; });
}

XLENS_API float log_sum_exp(std::span<const float> x) {
    constexpr float lowest = -std::numeric_limits<float>::infinity();
    const float largest = maximum(x);
    const float shift = std::isinf(largest) ? 0.0F : largest;
    const float sum =
        sum_of(x, lowest, [shift](const batch& v) { return xsimd::exp(v - batch(shift)); });
    return std::log(sum) + shift;
}
#endif

}  // namespace xlens::kernels
