// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/dot_tile.hpp>
#include <xlens/kernels/integer_sums_avx2.hpp>
#include <xlens/kernels/prefetch.hpp>
#include <xlens/kernels/product.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <type_traits>

// Integer products of one position with AVX2: a row at a time, from the first byte to the last, so
// that memory is read in one run; codes are taken apart in registers.

#if XLENS_INTEGER_AVX2

namespace xlens::kernels::detail {

/// A step of a row (step_of_row) is added to its lanes.
template <class Step>
[[gnu::always_inline]] inline __m256 add_row_step(__m256 sum, const Step& w,
                                                  const step_of_inputs& x) {
    const group_sums<Step::kind> front(w.codes(std::integral_constant<std::size_t, 0>()), x.codes);
    const group_sums<Step::kind> back(w.codes(std::integral_constant<std::size_t, 1>()),
                                      x.codes + 128);
    return add_step<Step::kind>(sum, front, back, w.scales(), x);
}

/// The lanes of ⟨w, x⟩. Asks for memory that comes later.
template <class Format>
[[gnu::always_inline]] inline __m256 row_lanes(const stored_row& w, step_of_inputs x) {
    __m256 sum = _mm256_setzero_ps();
    each_step<Format>(w, [&](const auto& step) XLENS_INLINE {
        sum = add_row_step(sum, step, x);
        prefetch(step.at + blocking::integer_ahead, bytes_of_groups<Format>(2));
        x.advance();
    });
    return sum;
}

/// y(r) = ⟨S_(first + r), x⟩ in integers.
template <class Format>
[[gnu::noinline]] void integer_dots_of_one(const product& p, std::size_t first, std::size_t count) {
    constexpr std::size_t together = 4;
    const step_of_inputs x(*p.quantised, 0);
    const std::span<float> y = p.y[0].subspan(first, count);
    stored_row row = row_at(p.weights, first, first + count - 1);
    for (std::size_t r = 0; r < count; r += together) {
        const std::size_t some = std::min(together, count - r);
        __m256 sums[together] = {};
        for (std::size_t i = 0; i < some; ++i) {
            row.begin = p.weights.stored_row(first + r + i);
            sums[i] = row_lanes<Format>(row, x);
        }
        std::array<float, together> out;
        _mm_storeu_ps(out.data(), sum_each(sums[0], sums[1], sums[2], sums[3]));
        put<together>(out.data(), y.subspan(r, some), false);
    }
}

}  // namespace xlens::kernels::detail

#endif
