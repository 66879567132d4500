// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/integer_lanes.hpp>
#include <xlens/storage/formats.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

// How integer products (integer_dots.hpp) read formats of 32 elements a block: as small unsigned
// integers u under a scale. Formats of 256: integer_codes_256.hpp.

#if XLENS_INTEGER_DOTS

namespace xlens::kernels::detail {

/// The codes u of four blocks of 32: elements 0 to 15 of each, then 16 to 31.
struct block_codes {
    code_lanes low;
    code_lanes high;
};

/// How a format is read, four blocks of 32 to a group, `groups` of them a step:
///   bits                  of a code u; where these are 8, it has a sign, and there is no m
///   scales(in)            of each group and block a pair of floats; or, where d, or d and m, are
///                         binary16 at the beginning of a block, `scales_at`
///   codes<g>(in)          block_codes of group g
/// and, where w = d·u + m over a block, pairs of (d, m); where all blocks have m = f·d, pairs of
/// (d, d) and `minimum_factor` f, which is 1 otherwise. Where elements 0 to 15 and 16 to 31 of a
/// block have scales of their own, w = d·(u - offset): pairs of both d's, and `offset`.
template <class Format>
struct integer_codes;

template <class Stored>
concept has_halves = requires { Stored::offset; };
template <class Stored>
concept has_scales_at = requires { Stored::scales_at; };

template <std::size_t groups>
struct group_scales_of {
    __m256 of[groups];
};

/// Formats that are as block_layout says.
template <class Format, block_layout layout>
struct codes_of_32 {
    static constexpr std::size_t groups = 1;
    static constexpr int bits = layout.bits;
    static constexpr block_layout scales_at = layout;

    template <std::size_t>
    [[gnu::always_inline]] static block_codes codes(const four_blocks& in) {
        const code_lanes low = load_bytes<layout, layout.codes>(in);
        if constexpr (layout.bits == 4) {
            return {low_nibbles(low), high_nibbles(low)};
        } else {
            return {low, load_bytes<layout, layout.codes + 16>(in)};
        }
    }
};

template <>
struct integer_codes<q4_1>
    : codes_of_32<q4_1, block_layout{.bytes = q4_1::bytes, .codes = 4, .bits = 4}> {
    static constexpr float minimum_factor = 1.0F;
};
template <>
struct integer_codes<q4_0>
    : codes_of_32<q4_0, block_layout{.bytes = q4_0::bytes, .codes = 2, .bits = 4}> {
    static constexpr float minimum_factor = -8.0F;
};
template <>
struct integer_codes<q8_0>
    : codes_of_32<q8_0, block_layout{.bytes = q8_0::bytes, .codes = 2, .bits = 8}> {};

/// Formats with a fifth bit a code, in 4 bytes before the nibbles.
template <block_layout layout>
struct codes_of_five_bits {
    static constexpr std::size_t groups = 1;
    static constexpr int bits = 5;
    static constexpr block_layout scales_at = layout;

    template <std::size_t>
    [[gnu::always_inline]] static block_codes codes(const four_blocks& in) {
        const code_lanes both = load_bytes<layout, layout.codes + 4>(in);
        const words_of_bits fifths(in, layout.bytes, layout.codes);
        return {with_bits(low_nibbles(both), fifths.sixteens<0>()),
                with_bits(high_nibbles(both), fifths.sixteens<1>())};
    }
};

template <>
struct integer_codes<q5_0>
    : codes_of_five_bits<block_layout{.bytes = q5_0::bytes, .codes = 2, .bits = 4}> {
    static constexpr float minimum_factor = -16.0F;
};
template <>
struct integer_codes<q5_1>
    : codes_of_five_bits<block_layout{.bytes = q5_1::bytes, .codes = 4, .bits = 4}> {
    static constexpr float minimum_factor = 1.0F;
};

template <>
struct integer_codes<iq4_nl> {
    static constexpr std::size_t groups = 1;
    static constexpr int bits = 8;
    static constexpr block_layout scales_at{.bytes = iq4_nl::bytes, .codes = 2, .bits = 4};

    template <std::size_t>
    [[gnu::always_inline]] static block_codes codes(const four_blocks& in) {
        const code_lanes both = load_bytes<scales_at, scales_at.codes>(in);
        const __m128i table = load_16(xlens::detail::iq4_codes.data());
        return {look_up(table, low_nibbles(both)), look_up(table, high_nibbles(both))};
    }
};

template <>
struct integer_codes<mxfp4> {
    static constexpr std::size_t groups = 1;
    static constexpr int bits = 5;  // 0 to 24
    static constexpr float minimum_factor = -12.0F;

    /// (d, d) of each block, d = half_of_e8m0(e).
    [[gnu::always_inline]] static group_scales_of<1> scales(const four_blocks& in) {
        std::uint32_t four = 0;
        unrolled<4>([&](auto k) XLENS_INLINE {
            four |= static_cast<std::uint32_t>(in.at[k * mxfp4::bytes]) << (8 * k);
        });
        const __m128i once = _mm_cvtsi32_si128(static_cast<int>(four));
        const __m256i e = _mm256_cvtepu8_epi32(_mm_unpacklo_epi8(once, once));
        const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
        const __m256i small = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e);
        const __m256i is_small = _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e);
        return {{_mm256_castsi256_ps(_mm256_blendv_epi8(normal, small, is_small))}};
    }
    template <std::size_t>
    [[gnu::always_inline]] static block_codes codes(const four_blocks& in) {
        const code_lanes both = load_one_by_one(in, mxfp4::bytes, 1);
        const __m128i table =
            _mm_add_epi8(load_16(xlens::detail::e2m1_codes.data()), _mm_set1_epi8(12));
        return {look_up(table, low_nibbles(both)), look_up(table, high_nibbles(both))};
    }
};

}  // namespace xlens::kernels::detail

#endif
