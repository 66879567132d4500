// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <xlens/core/compiled.hpp>

#if XLENS_DEFINES(kernels)
#include <xlens/core/simd.hpp>
#include <xlens/kernels/lanes.hpp>
#endif

namespace xlens::kernels {

/// Σ_i a_i·b_i of two rows of equal length. Four running sums hide the latency of the multiply-add;
/// the order of the additions depends on the length alone.
XLENS_API float dot(std::span<const float> a, std::span<const float> b);

/// ‖x‖, the Euclidean length.
XLENS_API float norm2(std::span<const float> x);

/// The largest |x_i|; 0 of none.
XLENS_API float largest_magnitude(std::span<const float> x);

#if XLENS_DEFINES(kernels)
XLENS_API float dot(std::span<const float> a, std::span<const float> b) {
    const float* p = a.data();
    const float* q = b.data();
    const std::size_t n = a.size();
    const auto product = [p, q](std::size_t i, const batch& sum) {
        return multiply_add(batch::load_unaligned(p + i), batch::load_unaligned(q + i), sum);
    };
    batch s0(0.0F);
    batch s1(0.0F);
    batch s2(0.0F);
    batch s3(0.0F);
    std::size_t i = 0;
    for (; i + 4 * lanes <= n; i += 4 * lanes) {
        s0 = product(i, s0);
        s1 = product(i + lanes, s1);
        s2 = product(i + 2 * lanes, s2);
        s3 = product(i + 3 * lanes, s3);
    }
    for (; i + lanes <= n; i += lanes) { s0 = product(i, s0); }
    if (i < n) {
        s1 = multiply_add(load_partial(p + i, n - i, 0.0F), load_partial(q + i, n - i, 0.0F), s1);
    }
    return sum_lanes((s0 + s1) + (s2 + s3));
}

XLENS_API float norm2(std::span<const float> x) { return std::sqrt(dot(x, x)); }

XLENS_API float largest_magnitude(std::span<const float> x) {
    float out = 0.0F;
    for (const float v : x) { out = std::max(out, std::abs(v)); }
    return out;
}
#endif

}  // namespace xlens::kernels
