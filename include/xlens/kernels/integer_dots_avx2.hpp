// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/dot_tile.hpp>
#include <xlens/kernels/integer_sums_avx2.hpp>
#include <xlens/kernels/prefetch.hpp>
#include <xlens/kernels/product.hpp>
#include <xlens/kernels/quantised_rows.hpp>
#include <xlens/storage/matrix_view.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

// Integer products of one position with AVX2: a row at a time, from the first byte to the last, so
// that memory is read in one run; codes are taken apart in registers.

#if XLENS_INTEGER_AVX2

namespace xlens::kernels::detail {

/// The lanes of ⟨w, x⟩ of a row of `blocks` blocks of 32. Asks for memory that comes later.
template <class Format>
[[gnu::always_inline]] inline __m256 row_lanes(const std::byte* w, std::size_t blocks,
                                               step_of_inputs x) {
    constexpr product_kind kind = step_of_row<Format>::kind;
    __m256 sum = _mm256_setzero_ps();
    each_step<Format>(blocks, [&](std::size_t count) XLENS_INLINE {
        const step_of_row<Format> row{w, count};
        const group_sums<kind> front(row.template codes<0>(), x.codes);
        const group_sums<kind> back(row.template codes<1>(), x.codes + 128);
        sum = add_step(sum, front, back, row.scales(), x);
        prefetch(w + blocking::integer_ahead, row.bytes);
        w += row.bytes;
        x.advance();
    });
    return sum;
}

/// y(r) = ⟨S_(first + r), x⟩ in integers.
template <class Format>
[[gnu::noinline]] void integer_dots_of_one(const product& p, std::size_t first, std::size_t count) {
    constexpr std::size_t together = 4;
    const std::size_t blocks = p.x.width() / quantised_rows::block;
    const step_of_inputs x(*p.quantised, 0);
    const std::span<float> y = p.y[0].subspan(first, count);
    for (std::size_t r = 0; r < count; r += together) {
        const std::size_t some = std::min(together, count - r);
        __m256 sums[together] = {};
        for (std::size_t i = 0; i < some; ++i) {
            sums[i] = row_lanes<Format>(p.weights.stored_row(first + r + i), blocks, x);
        }
        std::array<float, together> out;
        _mm_storeu_ps(out.data(), sum_each(sums[0], sums[1], sums[2], sums[3]));
        put<together>(out.data(), y.subspan(r, some), false);
    }
}

}  // namespace xlens::kernels::detail

#endif
