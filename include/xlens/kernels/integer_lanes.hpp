// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/core/unroll.hpp>
#include <xlens/kernels/integer_blocks.hpp>
#include <xlens/kernels/integer_lanes_avx2.hpp>
#include <xlens/kernels/integer_lanes_vnni.hpp>

// What integer products (integer_dots.hpp) are made of: codes of four blocks of a row of weights,
// and sums of their products with 8-bit integers, which are exact.

#if XLENS_INTEGER_DOTS

namespace xlens::kernels::detail {

/// Σ of the lanes of each of four, in their order.
[[gnu::always_inline]] inline __m128 sum_each(__m256 x0, __m256 x1, __m256 x2, __m256 x3) {
    const __m256 fours = _mm256_hadd_ps(_mm256_hadd_ps(x0, x1), _mm256_hadd_ps(x2, x3));
    return _mm_add_ps(_mm256_castps256_ps128(fours), _mm256_extractf128_ps(fours, 1));
}
/// out[4·i + j] = the sum of the eight lanes of row i of x[j].
[[gnu::always_inline]] inline void sum_rows(const batch (&x)[4], float* out) {
    unrolled<rows_a_batch>([&](auto i) XLENS_INLINE {
        _mm_storeu_ps(out + 4 * i,
                      sum_each(row_of<i>(x[0]), row_of<i>(x[1]), row_of<i>(x[2]), row_of<i>(x[3])));
    });
}

}  // namespace xlens::kernels::detail

#endif
