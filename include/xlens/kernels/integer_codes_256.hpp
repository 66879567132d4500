// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/kernels/integer_codes.hpp>
#include <xlens/storage/formats.hpp>

#include <cstddef>
#include <cstdint>

// How integer products (integer_dots.hpp) read formats of 256 elements a block: two groups of four
// blocks of 32, whose small integer scales become floats once a block. Layouts: storage/formats/.

#if XLENS_INTEGER_DOTS

namespace xlens::kernels::detail {

/// The eight bytes of `eight`, each as a float.
[[gnu::always_inline]] inline __m256 bytes_to_floats(std::uint64_t eight) {
    const __m128i bytes = _mm_cvtsi64_si128(static_cast<long long>(eight));
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}
[[gnu::always_inline]] inline __m256 signed_bytes_to_floats(std::uint64_t eight) {
    const __m128i bytes = _mm_cvtsi64_si128(static_cast<long long>(eight));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
}

/// q4_k and q5_k: (d·s, -(dmin·m)) of each block of 32; s and m are packed as unpack_group_scales
/// (storage/formats/blocks_256.hpp) says.
struct grouped_codes {
    static constexpr std::size_t groups = 2;
    static constexpr float minimum_factor = 1.0F;

    [[gnu::always_inline]] static group_scales_of<2> scales(const four_blocks& in) {
        const auto scale = load_unaligned<std::uint32_t>(in.at + 4);
        const auto minimum = load_unaligned<std::uint32_t>(in.at + 8);
        const auto low = load_unaligned<std::uint32_t>(in.at + 12);
        const auto on_top = [](std::uint32_t x) { return (x >> 2U) & 0x30303030U; };
        const __m256 both = _mm256_setr_ps(1, -1, 1, -1, 1, -1, 1, -1);
        const __m256 d =
            _mm256_mul_ps(both, _mm256_castsi256_ps(_mm256_set1_epi64x(d_and_d_min(in.at))));
        return {{_mm256_mul_ps(d, pairs(scale & 0x3F3F3F3FU, minimum & 0x3F3F3F3FU)),
                 _mm256_mul_ps(d, pairs((low & 0x0F0F0F0FU) | on_top(scale),
                                        ((low >> 4U) & 0x0F0F0F0FU) | on_top(minimum)))}};
    }

private:
    /// d and dmin as two floats side by side.
    [[gnu::always_inline]] static long long d_and_d_min(const std::byte* at) {
        const auto halves = load_unaligned<std::uint32_t>(at);
        return _mm_cvtsi128_si64(
            _mm_castps_si128(_mm_cvtph_ps(_mm_cvtsi32_si128(static_cast<int>(halves)))));
    }
    /// (s, m) of four blocks.
    [[gnu::always_inline]] static __m256 pairs(std::uint32_t s, std::uint32_t m) {
        const __m128i bytes = _mm_unpacklo_epi8(_mm_cvtsi32_si128(static_cast<int>(s)),
                                                _mm_cvtsi32_si128(static_cast<int>(m)));
        return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
    }
};
/// 32 bytes hold two blocks: the low nibbles, then the high ones.
[[gnu::always_inline]] inline block_codes grouped_nibbles(const std::byte* from) {
    return {bits_from<0, 4, 0, 4>(load_in_order<0, 0, 2, 2>(from), 0x0F),
            bits_from<0, 4, 0, 4>(load_in_order<1, 1, 3, 3>(from), 0x0F)};
}

template <>
struct integer_codes<q4_k> : grouped_codes {
    static constexpr int bits = 4;

    template <std::size_t g>
    [[gnu::always_inline]] static block_codes codes(const four_blocks& in) {
        return grouped_nibbles(in.at + 16 + 64 * g);
    }
};
template <>
struct integer_codes<q5_k> : grouped_codes {
    static constexpr int bits = 5;

    template <std::size_t g>
    [[gnu::always_inline]] static block_codes codes(const four_blocks& in) {
        constexpr int b = 4 * g;  // the bit of the fifths that belongs to block 0
        const block_codes low = grouped_nibbles(in.at + 48 + 64 * g);
        const auto fifth = [&](std::size_t from) XLENS_INLINE {
            return bits_from<b, b + 1, b + 2, b + 3>(load_for_each(in.at + from), 0x01);
        };
        return {with_bits_at<4>(low.low, fifth(16)), with_bits_at<4>(low.high, fifth(32))};
    }
};

template <>
struct integer_codes<q6_k> {
    static constexpr std::size_t groups = 2;
    static constexpr int bits = 6;
    static constexpr int offset = 32;

    [[gnu::always_inline]] static group_scales_of<2> scales(const four_blocks& in) {
        const __m256 d = _mm256_set1_ps(load_half(in.at + 208));
        const auto of = [&](std::size_t from) XLENS_INLINE {
            return _mm256_mul_ps(
                d, signed_bytes_to_floats(load_unaligned<std::uint64_t>(in.at + from)));
        };
        return {{of(192), of(200)}};
    }
    /// Blocks 0 and 1 are in the low nibbles of 32 bytes each, 2 and 3 in the high ones.
    template <std::size_t g>
    [[gnu::always_inline]] static block_codes codes(const four_blocks& in) {
        const std::byte* from = in.at + 64 * g;
        const auto top = [&](std::size_t half) XLENS_INLINE {
            return bits_from<0, 2, 4, 6>(load_for_each(in.at + 128 + 32 * g + half), 0x03);
        };
        return {
            with_bits_at<4>(bits_from<0, 0, 4, 4>(load_in_order<0, 2, 0, 2>(from), 0x0F), top(0)),
            with_bits_at<4>(bits_from<0, 0, 4, 4>(load_in_order<1, 3, 1, 3>(from), 0x0F), top(16))};
    }
};

template <>
struct integer_codes<q3_k> {
    static constexpr std::size_t groups = 2;
    static constexpr int bits = 3;
    static constexpr int offset = 4;

    [[gnu::always_inline]] static group_scales_of<2> scales(const four_blocks& in) {
        const __m256 d = _mm256_set1_ps(load_half(in.at + 108));
        const auto low = load_unaligned<std::uint64_t>(in.at + 96);
        const std::uint64_t high = load_unaligned<std::uint32_t>(in.at + 104);
        const auto of = [&](unsigned g) XLENS_INLINE {
            const std::uint64_t first = (high >> (4 * g)) & 0x03030303U;
            const std::uint64_t second = (high >> (4 * g + 2)) & 0x03030303U;
            const std::uint64_t six =
                ((low >> (4 * g)) & 0x0F0F0F0F0F0F0F0FU) | (first | second << 32U) << 4U;
            return _mm256_mul_ps(d, _mm256_sub_ps(bytes_to_floats(six), _mm256_set1_ps(32.0F)));
        };
        return {{of(0), of(1)}};
    }
    template <std::size_t g>
    [[gnu::always_inline]] static block_codes codes(const four_blocks& in) {
        constexpr int b = 4 * g;  // the bit of the thirds that belongs to block 0
        const auto half = [&](std::size_t from) XLENS_INLINE {
            return with_bits_at<2>(
                bits_from<0, 2, 4, 6>(load_for_each(in.at + 32 + 32 * g + from), 0x03),
                bits_from<b, b + 1, b + 2, b + 3>(load_for_each(in.at + from), 0x01));
        };
        return {half(0), half(16)};
    }
};

template <>
struct integer_codes<iq4_xs> {
    static constexpr std::size_t groups = 2;
    static constexpr int bits = 8;

    [[gnu::always_inline]] static group_scales_of<2> scales(const four_blocks& in) {
        const __m256 d = _mm256_set1_ps(load_half(in.at));
        const int high = load_unaligned<std::uint16_t>(in.at + 2);
        const auto of = [&](int g) XLENS_INLINE {
            const int low = load_unaligned<std::uint16_t>(in.at + 4 + 2 * std::ptrdiff_t{g});
            const __m256i four = _mm256_srlv_epi32(_mm256_set1_epi32(low),
                                                   _mm256_setr_epi32(0, 0, 4, 4, 8, 8, 12, 12));
            const __m256i two = _mm256_srlv_epi32(_mm256_set1_epi32(high >> (8 * g)),
                                                  _mm256_setr_epi32(0, 0, 2, 2, 4, 4, 6, 6));
            const __m256i six = _mm256_or_si256(
                _mm256_and_si256(four, _mm256_set1_epi32(0x0F)),
                _mm256_slli_epi32(_mm256_and_si256(two, _mm256_set1_epi32(0x03)), 4));
            const __m256i s = _mm256_sub_epi32(six, _mm256_set1_epi32(32));
            return _mm256_mul_ps(d, _mm256_cvtepi32_ps(s));
        };
        return {{of(0), of(1)}};
    }
    template <std::size_t g>
    [[gnu::always_inline]] static block_codes codes(const four_blocks& in) {
        const code_lanes both = load_in_order<0, 1, 2, 3>(in.at + 8 + 64 * g);
        const __m128i table = load_16(xlens::detail::iq4_codes.data());
        return {look_up(table, low_nibbles(both)), look_up(table, high_nibbles(both))};
    }
};

}  // namespace xlens::kernels::detail

#endif
