// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/integer_lanes.hpp>
#include <xlens/kernels/quantised_rows.hpp>
#include <xlens/storage/formats.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

// Dot products in integers: weights that are small integers under a scale, w = d·u + m with u in
// [0, 255], meet inputs x = s·q with q in [-127, 127] (quantised_rows.hpp):
//   Σ_i w_i·x_i = d·s·Σ u_i·q_i + m·s·Σ q_i        over a block of 32
// The sum of products is exact. Where no processor's instruction helps (integer_lanes.hpp) there are
// no integer products, and `precision::native` computes as f32 does.

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

/// The codes u of four blocks: elements 0 to 15 of each, then 16 to 31.
struct block_codes {
    row_codes low;
    row_codes high;
};
[[gnu::always_inline]] inline block_codes load_nibbles(const four_blocks& src, std::size_t offset) {
    const row_codes packed = load_rows(src, offset);
    return {low_nibbles(packed), high_nibbles(packed)};
}

/// How a format is w = d·u + m: its codes (below 2^bits), and (d, m) as two binary16 in a word; where
/// m is a multiple of d, (d, d) and that multiple.
template <class Format>
struct integer_codes;

template <>
struct integer_codes<q4_1> {
    static constexpr int bits = 4;
    static constexpr float minimum_factor = 1.0F;
    [[gnu::always_inline]] static block_codes load(const four_blocks& src) {
        return load_nibbles(src, 4);
    }
    static std::uint32_t scales(const std::byte* src) { return load_unaligned<std::uint32_t>(src); }
};
template <>
struct integer_codes<q4_0> {
    static constexpr int bits = 4;
    static constexpr float minimum_factor = -8.0F;
    [[gnu::always_inline]] static block_codes load(const four_blocks& src) {
        return load_nibbles(src, 2);
    }
    static std::uint32_t scales(const std::byte* src) {
        return load_unaligned<std::uint16_t>(src) * 0x10001U;
    }
};
template <>
struct integer_codes<q8_0> {
    static constexpr int bits = 8;
    static constexpr float minimum_factor = -128.0F;
    [[gnu::always_inline]] static block_codes load(const four_blocks& src) {
        return {plus_128(load_rows(src, 2)), plus_128(load_rows(src, 18))};
    }
    static std::uint32_t scales(const std::byte* src) {
        return load_unaligned<std::uint16_t>(src) * 0x10001U;
    }
};

/// (d, m) of four blocks as eight floats.
template <class Format>
[[gnu::always_inline]] inline __m256 load_scales(const four_blocks& src) {
    const auto word = [&](std::size_t r) XLENS_INLINE {
        return static_cast<int>(integer_codes<Format>::scales(src[r]));
    };
    return _mm256_cvtph_ps(_mm_setr_epi32(word(0), word(1), word(2), word(3)));
}

/// out[p·4 + r] = ⟨w_r, x_p⟩ of four rows and the positions first .. first + P - 1. `ahead` is how
/// far from a block the one is that will be read some groups later.
template <class Format, std::size_t P>
void integer_dots(four_blocks w, std::size_t blocks, const quantised_rows& x, std::size_t first,
                  std::size_t ahead, float* out) {
    std::array<const std::int8_t*, P> codes;
    std::array<const float*, P> scales;
    std::array<const float*, P> sums;
    row_sums products[P];
    __m256 minima[P];  // of row r in lane 2r + 1
    unrolled<P>([&](auto p) XLENS_INLINE {
        codes[p] = x.codes(first + p);
        scales[p] = x.scales(first + p);
        sums[p] = x.sums(first + p);
        products[p] = zero_sums();
        minima[p] = _mm256_setzero_ps();
    });
    for (std::size_t b = 0; b < blocks; ++b) {
        const block_codes u = integer_codes<Format>::load(w);
        const __m256 d_and_m = load_scales<Format>(w);
        const row_sums d = spread_even(d_and_m);
        unrolled<P>([&](auto p) XLENS_INLINE {
            const row_sums dot = dot_codes<integer_codes<Format>::bits>(
                u.low, u.high, codes[p] + b * quantised_rows::block);
            products[p] = add_scaled(products[p], dot, scales[p][b], d);
            minima[p] = _mm256_fmadd_ps(d_and_m, _mm256_set1_ps(sums[p][b]), minima[p]);
        });
        unrolled<4>([&](auto r) XLENS_INLINE {
            if (ahead > 0) { __builtin_prefetch(w[r] + ahead, 0, blocking::prefetch_level_2); }
            w[r] += Format::bytes;
        });
    }
    const __m128 factor = _mm_set1_ps(integer_codes<Format>::minimum_factor);
    unrolled<P>([&](auto p) XLENS_INLINE {
        _mm_storeu_ps(out + p * 4, _mm_add_ps(sum_each(products[p]),
                                              _mm_mul_ps(factor, odd_lanes(minima[p]))));
    });
}

}  // namespace detail

#endif

}  // namespace xlens::kernels
