// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/integer_sums.hpp>
#include <xlens/kernels/prefetch.hpp>
#include <xlens/kernels/quantised_rows.hpp>
#include <xlens/storage/formats.hpp>

#include <array>
#include <cstddef>

// Dot products in integers: weights that are small integers u under scales meet inputs x = s·q with
// q in [-127, 127] (quantised_rows.hpp), over a block of 32
//   w = d·u + m                          Σ_i w_i·x_i = d·s·Σ u_i·q_i + m·s·Σ q_i
//   w = d·(u - offset), d of 16 each     Σ_i w_i·x_i = d·s·Σ (u_i - offset)·q_i, twice
// The sums of products are exact: what differs from f32 is the rounding of x, by at most half a
// step, max|x|/254 of its 32, and float arithmetic once a block. Where no processor's instruction
// helps (integer_lanes.hpp) there are no integer products, and `precision::native` computes as f32
// does. Here: one position, whose rows are taken apart in registers; several: integer_tile.hpp.

namespace xlens::kernels {

#if XLENS_INTEGER_DOTS

/// Whether integer products exist for a format, in this build: where integer_codes is.
template <class Format>
inline constexpr bool has_integer_dots = requires { detail::integer_codes<Format>::groups; };

namespace detail {

/// Calls step(in, count) for every step of a row of `blocks` blocks of 32, where `count` blocks
/// of each of its groups are there, and `next()` between them.
template <class Format, class Step>
[[gnu::always_inline]] inline void each_step(std::size_t blocks, Step step) {
    constexpr std::size_t together = integer_codes<Format>::groups * quantised_rows::blocks_a_group;
    for (std::size_t b = 0; b + together <= blocks; b += together) {
        step(quantised_rows::blocks_a_group);
    }
    if constexpr (Format::block == quantised_rows::block) {
        if (blocks % together > 0) { step(blocks % together); }
    }
}
/// Bytes of a row that a step reads.
template <class Format>
inline constexpr std::size_t bytes_a_step =
    integer_codes<Format>::groups * quantised_rows::group / Format::block * Format::bytes;

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
        unrolled<R>([&](auto r) XLENS_INLINE { of_row[r] = stored::scales({w[r], count}); });
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

}  // namespace detail

#else

template <class Format>
inline constexpr bool has_integer_dots = false;

#endif

}  // namespace xlens::kernels
