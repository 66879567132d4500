// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/core/unroll.hpp>
#include <xlens/kernels/integer_blocks.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

// The part of integer_lanes.hpp for processors with AVX-512 and VNNI.

#if XLENS_VNNI
#include <immintrin.h>

namespace xlens::kernels::detail {

using code_lanes = __m512i;    ///< 16 codes of each of four blocks
using product_lanes = __m512;  ///< four lanes a block

/// 64 bytes from `offset` on, zeros where blocks are missing.
template <block_layout layout>
[[gnu::always_inline]] inline __m512i load_64(const four_blocks& blocks, std::size_t offset) {
    if (blocks.count == 4) {
        __m512i all = _mm512_loadu_si512(blocks.at + offset);
        keep_in_register(all);
        return all;
    }
    const std::size_t end = blocks.count * layout.bytes;
    const std::size_t there = end - std::min(end, offset);
    const auto mask = there < 64 ? (std::uint64_t{1} << there) - 1 : ~std::uint64_t{0};
    return _mm512_maskz_loadu_epi8(mask, blocks.at + offset);
}

/// Where units (of 2 or 4 bytes) stand in two loads that overlap, [begin, begin + 64) and
/// [end - 64, end): byte(i) is where the one begins that comes to place i.
template <class Unit, class Byte>
constexpr std::array<Unit, 64 / sizeof(Unit)> places(std::size_t begin, std::size_t end,
                                                     Byte byte) {
    std::array<Unit, 64 / sizeof(Unit)> out{};
    for (std::size_t i = 0; i < out.size(); ++i) {
        const bool in_first = byte(i) + sizeof(Unit) <= begin + 64;
        out[i] = static_cast<Unit>((byte(i) - (in_first ? begin : end - 128)) / sizeof(Unit));
    }
    return out;
}
template <class Unit>
[[gnu::always_inline]] inline __m512i choose(__m512i first, __m512i second,
                                             const std::array<Unit, 64 / sizeof(Unit)>& from) {
    const __m512i index = _mm512_loadu_si512(from.data());
    if constexpr (sizeof(Unit) == 4) {
        return _mm512_permutex2var_epi32(first, index, second);
    } else {
        return _mm512_permutex2var_epi16(first, index, second);
    }
}

/// The two loads that hold the 16 bytes at `offset` of each block, and where those stand in them.
/// Where they can be, units are of four bytes: some processors take three steps for those of two.
template <block_layout layout, std::size_t offset>
struct bytes_of_blocks {
    static constexpr bool wide = layout.bytes % 4 == 0;
    using unit = std::conditional_t<wide, std::uint32_t, std::uint16_t>;
    static constexpr std::size_t begin = offset < 16 ? 0 : offset;
    static constexpr std::size_t end = 3 * layout.bytes + offset + 16;
    static constexpr auto from = places<unit>(begin, end, [](std::size_t i) {
        const std::size_t byte = i * sizeof(unit);
        return byte / 16 * layout.bytes + offset + byte % 16;
    });
};
/// The same of (d, m), or of (d, d) where m does not stand in a block.
template <block_layout layout>
struct scales_of_blocks {
    static constexpr bool pairs = layout.codes == 4;
    using unit = std::conditional_t<pairs, std::uint32_t, std::uint16_t>;
    static constexpr std::size_t begin = 0;
    static constexpr std::size_t end = 3 * layout.bytes + layout.codes + 16;
    static constexpr auto from = places<unit>(
        begin, end, [](std::size_t i) { return (pairs ? i : i / 2) % 4 * layout.bytes; });
};
template <block_layout layout, class Part>
[[gnu::always_inline]] inline __m512i load_part(const four_blocks& blocks) {
    return choose<typename Part::unit>(load_64<layout>(blocks, Part::begin),
                                       load_64<layout>(blocks, Part::end - 64), Part::from);
}

/// The 16 bytes at `offset` of each block.
template <block_layout layout, std::size_t offset>
[[gnu::always_inline]] inline code_lanes load_bytes(const four_blocks& blocks) {
    return load_part<layout, bytes_of_blocks<layout, offset>>(blocks);
}
/// (d, m) of each block; where m does not stand in it, (d, d).
template <block_layout layout>
[[gnu::always_inline]] inline __m256 load_scales(const four_blocks& blocks) {
    return _mm256_cvtph_ps(
        _mm512_castsi512_si128(load_part<layout, scales_of_blocks<layout>>(blocks)));
}
[[gnu::always_inline]] inline code_lanes load_inputs(const std::int8_t* x) {
    __m512i all = _mm512_loadu_si512(x);
    keep_in_register(all);
    return all;
}
[[gnu::always_inline]] inline void store_codes(code_lanes codes, void* to) {
    _mm512_storeu_si512(to, codes);
}
[[gnu::always_inline]] inline code_lanes low_nibbles(code_lanes x) {
    return _mm512_and_si512(x, _mm512_set1_epi8(0x0F));
}
[[gnu::always_inline]] inline code_lanes high_nibbles(code_lanes x) {
    return low_nibbles(_mm512_srli_epi16(x, 4));
}
/// What codes of 8 bits, which have signs, are raised by, so that they have none.
inline constexpr int raised_by = 128;
[[gnu::always_inline]] inline code_lanes raised(code_lanes x) {
    return _mm512_xor_si512(x, _mm512_set1_epi8(static_cast<char>(0x80)));
}

// Sixteen bytes a block, moved and cut: what codes of other layouts are put together from.

[[gnu::always_inline]] inline __m128i load_16(const void* from) {
    return _mm_loadu_si128(static_cast<const __m128i*>(from));
}
/// Block 0 gets the bytes from 16·a on, block 1 those from 16·b on, and so on.
template <int a, int b, int c, int d>
[[gnu::always_inline]] inline code_lanes load_in_order(const std::byte* from) {
    const __m512i all = _mm512_loadu_si512(from);
    constexpr bool as_they_stand = a == 0 && b == 1 && c == 2 && d == 3;
    return as_they_stand ? all : _mm512_shuffle_i64x2(all, all, a | b << 2 | c << 4 | d << 6);
}
/// The same 16 bytes for each block.
[[gnu::always_inline]] inline code_lanes load_for_each(const std::byte* from) {
    return _mm512_broadcast_i32x4(load_16(from));
}
/// The 16 bytes at `offset` of blocks of any size; zeros where blocks are missing.
[[gnu::always_inline]] inline code_lanes load_one_by_one(const four_blocks& blocks,
                                                         std::size_t bytes, std::size_t offset) {
    const auto one = [&](std::size_t k) XLENS_INLINE {
        return k < blocks.count ? load_16(blocks.at + k * bytes + offset) : _mm_setzero_si128();
    };
    const __m512i two = _mm512_inserti32x4(_mm512_castsi128_si512(one(0)), one(1), 1);
    return _mm512_inserti32x4(_mm512_inserti32x4(two, one(2), 2), one(3), 3);
}
/// The bits from a on of each byte of block 0, from b on of block 1, and so on: those of `mask`.
template <int a, int b, int c, int d>
[[gnu::always_inline]] inline code_lanes bits_from(code_lanes x, int mask) {
    const __m512i shift = _mm512_setr_epi32(a, a, a, a, b, b, b, b, c, c, c, c, d, d, d, d);
    return _mm512_and_si512(_mm512_srlv_epi32(x, shift), _mm512_set1_epi8(static_cast<char>(mask)));
}
/// low | high << at, whose bits stay within their bytes.
template <int at>
[[gnu::always_inline]] inline code_lanes with_bits_at(code_lanes low, code_lanes high) {
    return _mm512_or_si512(low, _mm512_slli_epi32(high, at));
}
/// low | high.
[[gnu::always_inline]] inline code_lanes with_bits(code_lanes low, code_lanes high) {
    return _mm512_or_si512(low, high);
}
/// A word of 32 bits of each block, bit i of which belongs to element i.
class words_of_bits {
public:
    /// Those at `offset` of blocks of any size; zeros where blocks are missing.
    [[gnu::always_inline]] words_of_bits(const four_blocks& blocks, std::size_t bytes,
                                         std::size_t offset) {
        unrolled<4>([&](auto k) XLENS_INLINE {
            if (k < blocks.count) {
                std::uint32_t word = 0;
                std::memcpy(&word, blocks.at + k * bytes + offset, sizeof word);
                m_halves[0] |= std::uint64_t{word & 0xFFFFU} << (16 * k);
                m_halves[1] |= std::uint64_t{word >> 16U} << (16 * k);
            }
        });
    }
    /// Byte i of block k: 16 where bit i of its word, of the other half bit 16 + i, is set, else 0.
    template <std::size_t half>
    [[gnu::always_inline]] code_lanes sixteens() const {
        return _mm512_maskz_set1_epi8(m_halves[half], 16);
    }

private:
    std::array<std::uint64_t, 2> m_halves{};  // 16 bits of each block
};
/// Each byte, below 16, as an index of 16 bytes.
[[gnu::always_inline]] inline code_lanes look_up(__m128i table, code_lanes x) {
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), x);
}

[[gnu::always_inline]] inline product_lanes zero_products() { return _mm512_setzero_ps(); }
/// sum + Σ u_i·x_i, times lane 2k of `scales` in block k: codes u of a byte, elements 0 to 15 of
/// each block in `low` and `first`, 16 to 31 in `high` and `second`.
[[gnu::always_inline]] inline product_lanes add_products(product_lanes sum, code_lanes low,
                                                         code_lanes high, code_lanes first,
                                                         code_lanes second, __m256 scales) {
    const __m512i each = _mm512_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6);
    const __m512i dot = _mm512_dpbusd_epi32(_mm512_setzero_si512(), low, first);
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_dpbusd_epi32(dot, high, second)),
                           _mm512_permutexvar_ps(each, _mm512_castps256_ps512(scales)), sum);
}
/// -offset·Σ x_i, four lanes a block.
using integer_sums = __m512i;
[[gnu::always_inline]] inline integer_sums minus_offset(int offset, code_lanes x) {
    const __m512i sums =
        _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(static_cast<char>(offset)), x);
    return _mm512_sub_epi32(_mm512_setzero_si512(), sums);
}
/// sum + (start + Σ u_i·x_i), times lane 2k + Half of `scales` in block k: 16 elements of each.
template <int Half>
[[gnu::always_inline]] inline product_lanes add_half_products(product_lanes sum, code_lanes u,
                                                              code_lanes x, integer_sums start,
                                                              __m256 scales) {
    const __m512i each =
        _mm512_setr_epi32(Half, Half, Half, Half, 2 + Half, 2 + Half, 2 + Half, 2 + Half, 4 + Half,
                          4 + Half, 4 + Half, 4 + Half, 6 + Half, 6 + Half, 6 + Half, 6 + Half);
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_dpbusd_epi32(start, u, x)),
                           _mm512_permutexvar_ps(each, _mm512_castps256_ps512(scales)), sum);
}
/// Blocks 0 and 1 plus blocks 2 and 3.
[[gnu::always_inline]] inline __m256 add_halves(product_lanes x) {
    return _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
}
/// x + factor·minima in the odd lanes.
[[gnu::always_inline]] inline __m256 add_minima(__m256 x, __m256 minima, float factor) {
    const __m256 odd = _mm256_blend_ps(_mm256_setzero_ps(), minima, 0xAA);
    return _mm256_add_ps(x, _mm256_mul_ps(_mm256_set1_ps(factor), odd));
}

}  // namespace xlens::kernels::detail

#endif
