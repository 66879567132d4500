// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/dot_tile.hpp>
#include <xlens/kernels/integer_sums_vnni.hpp>
#include <xlens/kernels/prefetch.hpp>
#include <xlens/kernels/product.hpp>
#include <xlens/kernels/quantised_rows.hpp>
#include <xlens/storage/matrix_view.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

// Integer products of one position with VNNI: four blocks of four rows at once, whose codes are
// taken apart in registers.

#if XLENS_VNNI

namespace xlens::kernels::detail {

/// Calls step(in, count) for every step of a row of `blocks` blocks of 32, where `count` blocks
/// of each of its groups are there, and `next()` between them.
template <class Format, class Step>
[[gnu::always_inline]] inline void each_step(std::size_t blocks, Step step) {
    constexpr std::size_t together = integer_codes<Format>::groups * input_layout::blocks_a_group;
    for (std::size_t b = 0; b + together <= blocks; b += together) {
        step(input_layout::blocks_a_group);
    }
    if constexpr (Format::block == quantised_rows::block) {
        if (blocks % together > 0) { step(blocks % together); }
    }
}
/// Bytes of a row that a step reads.
template <class Format>
inline constexpr std::size_t bytes_a_step =
    integer_codes<Format>::groups * input_layout::group / Format::block * Format::bytes;

/// out[r] = ⟨w_r, x_t⟩ of R rows, a multiple of 4, over `blocks` blocks of 32. `ahead` is how far
/// from a block the one is that will be read some groups of rows later.
template <class Format, std::size_t R>
[[gnu::always_inline]] inline void integer_dots(std::array<const std::byte*, R> w,
                                                std::size_t blocks, const quantised_rows& x,
                                                std::size_t t, std::size_t ahead, float* out) {
    using stored = integer_codes<Format>;
    constexpr product_terms terms = terms_of<stored>();
    integer_totals<kind_of<stored>, R> total;
    rounded_inputs inputs(x, t);
    each_step<Format>(blocks, [&](std::size_t count) XLENS_INLINE {
        group_scales_of<stored::groups> of_row[R];
        unrolled<R>([&](auto r) XLENS_INLINE { of_row[r] = scales_of<stored>({w[r], count}); });
        unrolled<stored::groups>([&](auto g) XLENS_INLINE {
            block_codes u[R];
            __m256 scales[R];
            unrolled<R>([&](auto r) XLENS_INLINE {
                u[r] = stored::template codes<g>({w[r], count});
                scales[r] = of_row[r].of[g];
            });
            meet_group<kind_of<stored>, R, 1>(u, scales, terms.offset, inputs, g, total);
        });
        unrolled<R>([&](auto r) XLENS_INLINE {
            prefetch(w[r] + ahead, bytes_a_step<Format>);
            w[r] += bytes_a_step<Format>;
        });
        inputs.advance(stored::groups);
    });
    total.store(terms.minimum_factor, out);
}

/// y(r) = ⟨S_(first + r), x⟩ in integers.
template <class Format>
void integer_dots_of_one(const product& p, std::size_t first, std::size_t count) {
    constexpr std::size_t R = 4;
    const std::size_t blocks = p.x.width() / quantised_rows::block;
    const std::size_t ahead =
        blocking::prefetch_groups * R * p.weights.row_bytes(p.weights.stored_cols());
    const std::span<float> y = p.y[0].subspan(first, count);
    for (std::size_t r = 0; r < count; r += R) {
        const std::size_t some = std::min(R, count - r);
        std::array<const std::byte*, R> w;
        for (std::size_t i = 0; i < R; ++i) {
            w[i] = p.weights.stored_row(first + r + std::min(i, some - 1));
        }
        std::array<float, R> out;
        integer_dots<Format, R>(w, blocks, *p.quantised, 0, ahead, out.data());
        put<R>(out.data(), y.subspan(r, some), false);
    }
}

}  // namespace xlens::kernels::detail

#endif
