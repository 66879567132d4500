// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/integer_lanes.hpp>
#include <xlens/kernels/prefetch.hpp>
#include <xlens/kernels/quantised_rows.hpp>
#include <xlens/storage/formats.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

// Dot products in integers: weights that are small integers under a scale, w = d·u + m with u in
// [0, 255], meet inputs x = s·q with q in [-127, 127] (quantised_rows.hpp):
//   Σ_i w_i·x_i = d·s·Σ u_i·q_i + m·s·Σ q_i        over a block of 32
// The sum of products is exact. Where no processor's instruction helps (integer_lanes.hpp) there
// are no integer products, and `precision::native` computes as f32 does.

namespace xlens::kernels {

/// Whether integer products exist for a format, in this build.
template <class Format>
inline constexpr bool has_integer_dots = false;

#if XLENS_INTEGER_DOTS

template <>
inline constexpr bool has_integer_dots<q8_0> = true;
template <>
inline constexpr bool has_integer_dots<q4_0> = true;
template <>
inline constexpr bool has_integer_dots<q4_1> = true;

namespace detail {

/// How a format is w = d·u + m. Where a block has no m, m = minimum_factor·d.
template <class Format>
struct integer_codes;

template <>
struct integer_codes<q4_1> {
    static constexpr block_layout layout{.bytes = q4_1::bytes, .codes = 4, .bits = 4};
    static constexpr float minimum_factor = 1.0F;
};
template <>
struct integer_codes<q4_0> {
    static constexpr block_layout layout{.bytes = q4_0::bytes, .codes = 2, .bits = 4};
    static constexpr float minimum_factor = -8.0F;
};
template <>
struct integer_codes<q8_0> {
    static constexpr block_layout layout{.bytes = q8_0::bytes, .codes = 2, .bits = 8};
    static constexpr float minimum_factor = -128.0F;
};

/// The codes u of four blocks: elements 0 to 15 of each, then 16 to 31.
struct block_codes {
    code_lanes low;
    code_lanes high;
};
template <block_layout layout>
[[gnu::always_inline]] inline block_codes load_codes(const four_blocks& blocks) {
    const code_lanes low = load_bytes<layout, layout.codes>(blocks);
    if constexpr (layout.bits == 4) {
        return {low_nibbles(low), high_nibbles(low)};
    } else {
        return {plus_128(low), plus_128(load_bytes<layout, layout.codes + 16>(blocks))};
    }
}

/// out[p·R + r] = ⟨w_r, x_p⟩ of R rows and the positions first .. first + P - 1, R·P a multiple of
/// 4.
/// `ahead` is how far from a block the one is that will be read some groups of rows later.
template <class Format, std::size_t R, std::size_t P>
[[gnu::always_inline]] inline void integer_dots(std::array<const std::byte*, R> w,
                                                std::size_t blocks, const quantised_rows& x,
                                                std::size_t first, std::size_t ahead, float* out) {
    static_assert(R * P % 4 == 0);
    using stored = integer_codes<Format>;
    product_lanes products[R * P];
    __m256 minima[R * P];  // of block k in lane 2k + 1
    unrolled<R * P>([&](auto i) XLENS_INLINE {
        products[i] = zero_products();
        minima[i] = _mm256_setzero_ps();
    });
    const std::int8_t* codes = x.codes(first);
    const float* scales = x.scales(first);
    const auto meet = [&](std::size_t count) XLENS_INLINE {
        code_lanes low[R];
        code_lanes high[R];
        __m256 d_and_m[R];
        unrolled<R>([&](auto r) XLENS_INLINE {
            const four_blocks in{w[r], count};
            const block_codes u = load_codes<stored::layout>(in);
            low[r] = u.low;
            high[r] = u.high;
            d_and_m[r] = load_scales<stored::layout>(in);
        });
        unrolled<P>([&](auto p) XLENS_INLINE {
            const std::int8_t* q = codes + p * x.codes_a_row();
            const code_lanes first_half = load_inputs(q);
            const code_lanes second_half = load_inputs(q + quantised_rows::group / 2);
            const __m256 scale = _mm256_loadu_ps(scales + p * x.scales_a_row());
            unrolled<R>([&](auto r) XLENS_INLINE {
                constexpr std::size_t i = p * R + r;
                const __m256 scaled = _mm256_mul_ps(d_and_m[r], scale);
                products[i] = add_products<stored::layout.bits>(products[i], low[r], high[r],
                                                                first_half, second_half, scaled);
                minima[i] = _mm256_add_ps(minima[i], scaled);
            });
        });
    };
    constexpr std::size_t together = quantised_rows::blocks_a_group;
    for (std::size_t b = 0; b + together <= blocks; b += together) {
        meet(together);
        unrolled<R>([&](auto r) XLENS_INLINE {
            if (ahead > 0) { prefetch(w[r] + ahead, together * Format::bytes); }
            w[r] += together * Format::bytes;
        });
        codes += quantised_rows::group;
        scales += quantised_rows::scales_a_group;
    }
    if (blocks % together > 0) { meet(blocks % together); }

    __m256 sums[R * P];
    unrolled<R * P>([&](auto i) XLENS_INLINE {
        sums[i] = add_minima(add_halves(products[i]), minima[i], stored::minimum_factor);
    });
    unrolled<R * P / 4>([&](auto i) XLENS_INLINE {
        _mm_storeu_ps(out + 4 * i,
                      sum_each(sums[4 * i], sums[4 * i + 1], sums[4 * i + 2], sums[4 * i + 3]));
    });
}

}  // namespace detail

#endif

}  // namespace xlens::kernels
