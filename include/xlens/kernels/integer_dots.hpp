// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/integer_codes.hpp>
#include <xlens/kernels/integer_codes_256.hpp>
#include <xlens/kernels/integer_lanes.hpp>
#include <xlens/kernels/prefetch.hpp>
#include <xlens/kernels/quantised_rows.hpp>
#include <xlens/storage/formats.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

// Dot products in integers: weights that are small integers u under scales meet inputs x = s·q with
// q in [-127, 127] (quantised_rows.hpp), over a block of 32
//   w = d·u + m                          Σ_i w_i·x_i = d·s·Σ u_i·q_i + m·s·Σ q_i
//   w = d·(u - offset), d of 16 each     Σ_i w_i·x_i = d·s·Σ (u_i - offset)·q_i, twice
// The sums of products are exact: what differs from f32 is the rounding of x, by at most half a
// step, max|x|/254 of its 32, and float arithmetic once a block. Where no processor's instruction
// helps (integer_lanes.hpp) there are no integer products, and `precision::native` computes as f32
// does.

namespace xlens::kernels {

#if XLENS_INTEGER_DOTS

/// Whether integer products exist for a format, in this build: where integer_codes is.
template <class Format>
inline constexpr bool has_integer_dots = requires { detail::integer_codes<Format>::groups; };

namespace detail {

/// Sums of R rows with P positions.
template <class Stored, std::size_t N>
struct integer_totals {
    product_lanes products[N];
    __m256 minima[N];  // of block k in lane 2k + 1; of formats without: not used

    [[gnu::always_inline]] integer_totals() {
        unrolled<N>([&](auto i) XLENS_INLINE {
            products[i] = zero_products();
            minima[i] = _mm256_setzero_ps();
        });
    }
    /// The sum of what was added to i, in eight lanes.
    template <std::size_t i>
    [[gnu::always_inline]] __m256 sum() const {
        const __m256 all = add_halves(products[i]);
        if constexpr (requires { Stored::minimum_factor; }) {
            return add_minima(all, minima[i], Stored::minimum_factor);
        } else {
            return all;
        }
    }
};

/// Group g of R rows meets P positions.
template <class Stored, std::size_t R, std::size_t P, std::size_t g>
[[gnu::always_inline]] inline void meet_group(const std::array<four_blocks, R>& in,
                                              const group_scales_of<Stored::groups>* scales,
                                              const std::int8_t* codes, std::size_t codes_a_row,
                                              const float* input_scales, std::size_t scales_a_row,
                                              integer_totals<Stored, R * P>& total) {
    code_lanes low[R];
    code_lanes high[R];
    unrolled<R>([&](auto r) XLENS_INLINE {
        const block_codes u = Stored::template codes<g>(in[r]);
        low[r] = u.low;
        high[r] = u.high;
    });
    unrolled<P>([&](auto p) XLENS_INLINE {
        const std::int8_t* q = codes + p * codes_a_row + g * quantised_rows::group;
        const code_lanes first = load_inputs(q);
        const code_lanes second = load_inputs(q + quantised_rows::group / 2);
        const __m256 scale =
            _mm256_loadu_ps(input_scales + p * scales_a_row + g * quantised_rows::scales_a_group);
        if constexpr (requires { Stored::offset; }) {
            const integer_sums first_start = minus_offset(Stored::offset, first);
            const integer_sums second_start = minus_offset(Stored::offset, second);
            const __m256 step = _mm256_moveldup_ps(scale);
            unrolled<R>([&](auto r) XLENS_INLINE {
                constexpr std::size_t i = p * R + r;
                const __m256 scaled = _mm256_mul_ps(scales[r].of[g], step);
                const product_lanes half =
                    add_half_products<0>(total.products[i], low[r], first, first_start, scaled);
                total.products[i] =
                    add_half_products<1>(half, high[r], second, second_start, scaled);
            });
        } else {
            unrolled<R>([&](auto r) XLENS_INLINE {
                constexpr std::size_t i = p * R + r;
                const __m256 scaled = _mm256_mul_ps(scales[r].of[g], scale);
                total.products[i] = add_products<Stored::bits>(total.products[i], low[r], high[r],
                                                               first, second, scaled);
                total.minima[i] = _mm256_add_ps(total.minima[i], scaled);
            });
        }
    });
}

/// out[p·R + r] = ⟨w_r, x_p⟩ of R rows and the positions first .. first + P - 1, R·P a multiple of
/// 4, over `blocks` blocks of 32.
/// `ahead` is how far from a block the one is that will be read some groups of rows later.
template <class Format, std::size_t R, std::size_t P>
[[gnu::always_inline]] inline void integer_dots(std::array<const std::byte*, R> w,
                                                std::size_t blocks, const quantised_rows& x,
                                                std::size_t first, std::size_t ahead, float* out) {
    static_assert(R * P % 4 == 0);
    using stored = integer_codes<Format>;
    constexpr std::size_t together = stored::groups * quantised_rows::blocks_a_group;
    constexpr std::size_t bytes = together * quantised_rows::block / Format::block * Format::bytes;
    integer_totals<stored, R * P> total;
    const std::int8_t* codes = x.codes(first);
    const float* scales = x.scales(first);
    const auto meet = [&](std::size_t count) XLENS_INLINE {
        std::array<four_blocks, R> in;
        group_scales_of<stored::groups> of_row[R];
        unrolled<R>([&](auto r) XLENS_INLINE {
            in[r] = {w[r], count};
            of_row[r] = stored::scales(in[r]);
        });
        unrolled<stored::groups>([&](auto g) XLENS_INLINE {
            meet_group<stored, R, P, g>(in, of_row, codes, x.codes_a_row(), scales,
                                        x.scales_a_row(), total);
        });
    };
    for (std::size_t b = 0; b + together <= blocks; b += together) {
        meet(quantised_rows::blocks_a_group);
        unrolled<R>([&](auto r) XLENS_INLINE {
            if (ahead > 0) { prefetch(w[r] + ahead, bytes); }
            w[r] += bytes;
        });
        codes += stored::groups * quantised_rows::group;
        scales += stored::groups * quantised_rows::scales_a_group;
    }
    if constexpr (Format::block == quantised_rows::block) {
        if (blocks % together > 0) { meet(blocks % together); }
    }

    __m256 sums[R * P];
    unrolled<R * P>([&](auto i) XLENS_INLINE { sums[i] = total.template sum<i>(); });
    unrolled<R * P / 4>([&](auto i) XLENS_INLINE {
        _mm_storeu_ps(out + 4 * i,
                      sum_each(sums[4 * i], sums[4 * i + 1], sums[4 * i + 2], sums[4 * i + 3]));
    });
}

}  // namespace detail

#else

template <class Format>
inline constexpr bool has_integer_dots = false;

#endif

}  // namespace xlens::kernels
