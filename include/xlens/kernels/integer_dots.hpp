// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/kernels/integer_codes.hpp>
#include <xlens/kernels/integer_codes_256.hpp>
#include <xlens/kernels/integer_dots_of_few.hpp>
#include <xlens/kernels/integer_tile.hpp>
#include <xlens/kernels/product.hpp>

#include <cstddef>

// Dot products in integers: weights that are small integers u under scales meet inputs x = s·q with
// q in [-127, 127] (quantised_rows.hpp), over a block of 32
//   w = d·u + m                          Σ_i w_i·x_i = d·s·Σ u_i·q_i + m·s·Σ q_i
//   w = d·(u - offset), d of 16 each     Σ_i w_i·x_i = d·s·Σ (u_i - offset)·q_i, twice
// The sums of products are exact: what differs from f32 is the rounding of x, by at most half a
// step, max|x|/254 of its 32, and float arithmetic once a block, in an order that is the same for
// any number of positions. Where no processor's instruction helps (integer_blocks.hpp) there are no
// integer products, and `precision::native` computes as f32 does.

namespace xlens::kernels {

#if XLENS_INTEGER_DOTS

/// Whether integer products exist for a format, in this build: where integer_codes is.
template <class Format>
inline constexpr bool has_integer_dots = requires { detail::integer_codes<Format>::groups; };

namespace detail {

/// y(t, r) = ⟨S_r, x_t⟩ for `count` stored rows S_r in integers: a few positions meet rows that are
/// taken apart in registers, many meet them in memory.
template <class Format>
void stored_integer_dots(const product& p, std::size_t first, std::size_t count) {
    if (p.x.count() <= blocking::few_integer_positions) {
        integer_dots_of_few<Format>(p, first, count);
    } else {
        integer_dots_of_many<kind_of<integer_codes<Format>>>(p, first, count, take_apart<Format>);
    }
}

}  // namespace detail

#else

template <class Format>
inline constexpr bool has_integer_dots = false;

#endif

}  // namespace xlens::kernels
