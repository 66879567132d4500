// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/integer_blocks.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

// The part of integer_lanes.hpp for processors with AVX2 alone.

#if XLENS_INTEGER_DOTS && !XLENS_VNNI
#include <immintrin.h>

namespace xlens::kernels::detail {

struct code_lanes {  ///< 16 codes of each of four blocks: two blocks a register
    __m256i front, back;
};
struct product_lanes {  ///< four lanes a block
    __m256 front, back;
};

[[gnu::always_inline]] inline __m128i load_16(const void* from) {
    return _mm_loadu_si128(static_cast<const __m128i*>(from));
}
/// The 16 bytes at `offset` of each block.
template <block_layout layout, std::size_t offset>
[[gnu::always_inline]] inline code_lanes load_bytes(const four_blocks& blocks) {
    const auto one = [&](std::size_t k) XLENS_INLINE {
        return k < blocks.count ? load_16(blocks.at + k * layout.bytes + offset)
                                : _mm_setzero_si128();
    };
    return {_mm256_inserti128_si256(_mm256_castsi128_si256(one(0)), one(1), 1),
            _mm256_inserti128_si256(_mm256_castsi128_si256(one(2)), one(3), 1)};
}
/// (d, m) of each block; where m does not stand in it, (d, d).
template <block_layout layout>
[[gnu::always_inline]] inline __m256 load_scales(const four_blocks& blocks) {
    const auto one = [&](std::size_t k) XLENS_INLINE {
        std::uint32_t out = 0;
        if (k < blocks.count) { std::memcpy(&out, blocks.at + k * layout.bytes, layout.codes); }
        return static_cast<int>(layout.codes == 4 ? out : out * 0x10001U);
    };
    return _mm256_cvtph_ps(_mm_setr_epi32(one(0), one(1), one(2), one(3)));
}
[[gnu::always_inline]] inline code_lanes load_inputs(const std::int8_t* x) {
    const auto* from = reinterpret_cast<const __m256i*>(x);
    return {_mm256_loadu_si256(from), _mm256_loadu_si256(from + 1)};
}
[[gnu::always_inline]] inline void store_codes(code_lanes codes, void* to) {
    auto* both = static_cast<__m256i*>(to);
    _mm256_storeu_si256(both, codes.front);
    _mm256_storeu_si256(both + 1, codes.back);
}
[[gnu::always_inline]] inline __m256i low_nibbles(__m256i x) {
    return _mm256_and_si256(x, _mm256_set1_epi8(0x0F));
}
[[gnu::always_inline]] inline __m256i high_nibbles(__m256i x) {
    return low_nibbles(_mm256_srli_epi16(x, 4));
}
[[gnu::always_inline]] inline code_lanes low_nibbles(code_lanes x) {
    return {low_nibbles(x.front), low_nibbles(x.back)};
}
[[gnu::always_inline]] inline code_lanes high_nibbles(code_lanes x) {
    return {high_nibbles(x.front), high_nibbles(x.back)};
}
[[gnu::always_inline]] inline code_lanes plus_128(code_lanes x) {
    const __m256i top = _mm256_set1_epi8(static_cast<char>(0x80));
    return {_mm256_xor_si256(x.front, top), _mm256_xor_si256(x.back, top)};
}

// Sixteen bytes a block, moved and cut: what codes of other layouts are put together from.

/// 64 bytes as they stand: 16 a block.
[[gnu::always_inline]] inline code_lanes load_in_order(const std::byte* from) {
    const auto* both = reinterpret_cast<const __m256i*>(from);
    return {_mm256_loadu_si256(both), _mm256_loadu_si256(both + 1)};
}
/// The same 16 bytes for each block.
[[gnu::always_inline]] inline code_lanes load_for_each(const std::byte* from) {
    const __m256i twice = _mm256_broadcastsi128_si256(load_16(from));
    return {twice, twice};
}
/// The 16 bytes at `offset` of blocks of any size; zeros where blocks are missing.
[[gnu::always_inline]] inline code_lanes load_one_by_one(const four_blocks& blocks,
                                                         std::size_t bytes, std::size_t offset) {
    const auto one = [&](std::size_t k) XLENS_INLINE {
        return k < blocks.count ? load_16(blocks.at + k * bytes + offset) : _mm_setzero_si128();
    };
    return {_mm256_inserti128_si256(_mm256_castsi128_si256(one(0)), one(1), 1),
            _mm256_inserti128_si256(_mm256_castsi128_si256(one(2)), one(3), 1)};
}
/// Block 0 gets the bytes of block a, 1 those of b, and so on.
template <int a, int b, int c, int d>
[[gnu::always_inline]] inline code_lanes pick(code_lanes x) {
    return {_mm256_permute2x128_si256(x.front, x.back, a | b << 4),
            _mm256_permute2x128_si256(x.front, x.back, c | d << 4)};
}
/// The bits from a on of each byte of block 0, from b on of block 1, and so on: those of `mask`.
template <int a, int b, int c, int d>
[[gnu::always_inline]] inline code_lanes bits_from(code_lanes x, int mask) {
    const __m256i front = _mm256_setr_epi32(a, a, a, a, b, b, b, b);
    const __m256i back = _mm256_setr_epi32(c, c, c, c, d, d, d, d);
    const __m256i keep = _mm256_set1_epi8(static_cast<char>(mask));
    return {_mm256_and_si256(_mm256_srlv_epi32(x.front, front), keep),
            _mm256_and_si256(_mm256_srlv_epi32(x.back, back), keep)};
}
/// low | high << at, whose bits stay within their bytes.
template <int at>
[[gnu::always_inline]] inline code_lanes with_bits_at(code_lanes low, code_lanes high) {
    return {_mm256_or_si256(low.front, _mm256_slli_epi32(high.front, at)),
            _mm256_or_si256(low.back, _mm256_slli_epi32(high.back, at))};
}
/// Each byte, below 16, as an index of 16 bytes.
[[gnu::always_inline]] inline code_lanes look_up(__m128i table, code_lanes x) {
    const __m256i twice = _mm256_broadcastsi128_si256(table);
    return {_mm256_shuffle_epi8(twice, x.front), _mm256_shuffle_epi8(twice, x.back)};
}

[[gnu::always_inline]] inline product_lanes zero_products() {
    return {_mm256_setzero_ps(), _mm256_setzero_ps()};
}
/// Σ u_i·x_i in pairs of 16 bits, exact for codes u below 64: 4·63·127 < 2^15.
[[gnu::always_inline]] inline __m256i dot_nibbles(__m256i low, __m256i high, __m256i first,
                                                  __m256i second) {
    return _mm256_add_epi16(_mm256_maddubs_epi16(low, first), _mm256_maddubs_epi16(high, second));
}
/// Codes of more bits are two nibbles, as their products would not fit into 16 bits.
template <bool Narrow>
[[gnu::always_inline]] inline __m256 dot_two_blocks(__m256i low, __m256i high, __m256i first,
                                                    __m256i second) {
    const __m256i ones = _mm256_set1_epi16(1);
    if constexpr (Narrow) {
        return _mm256_cvtepi32_ps(_mm256_madd_epi16(dot_nibbles(low, high, first, second), ones));
    } else {
        const __m256i lower = dot_nibbles(low_nibbles(low), low_nibbles(high), first, second);
        const __m256i upper = dot_nibbles(high_nibbles(low), high_nibbles(high), first, second);
        return _mm256_cvtepi32_ps(_mm256_add_epi32(
            _mm256_madd_epi16(lower, ones), _mm256_madd_epi16(upper, _mm256_set1_epi16(16))));
    }
}
/// sum + Σ u_i·x_i, times lane 2k of `scales` in block k: codes u of a byte, below 64 if Narrow,
/// elements 0 to 15 of each block in `low` and `first`, 16 to 31 in `high` and `second`.
template <bool Narrow>
[[gnu::always_inline]] inline product_lanes add_products(product_lanes sum, code_lanes low,
                                                         code_lanes high, code_lanes first,
                                                         code_lanes second, __m256 scales) {
    const __m256i each = _mm256_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2);
    const __m256i next = _mm256_setr_epi32(4, 4, 4, 4, 6, 6, 6, 6);
    return {
        _mm256_fmadd_ps(dot_two_blocks<Narrow>(low.front, high.front, first.front, second.front),
                        _mm256_permutevar8x32_ps(scales, each), sum.front),
        _mm256_fmadd_ps(dot_two_blocks<Narrow>(low.back, high.back, first.back, second.back),
                        _mm256_permutevar8x32_ps(scales, next), sum.back)};
}
/// Σ u_i·x_i, four lanes a block, for codes u below 128.
[[gnu::always_inline]] inline __m256i dot_halves(__m256i u, __m256i x) {
    return _mm256_madd_epi16(_mm256_maddubs_epi16(u, x), _mm256_set1_epi16(1));
}
/// -offset·Σ x_i, four lanes a block.
struct integer_sums {
    __m256i front, back;
};
[[gnu::always_inline]] inline integer_sums minus_offset(int offset, code_lanes x) {
    const __m256i u = _mm256_set1_epi8(static_cast<char>(offset));
    const __m256i zero = _mm256_setzero_si256();
    return {_mm256_sub_epi32(zero, dot_halves(u, x.front)),
            _mm256_sub_epi32(zero, dot_halves(u, x.back))};
}
/// sum + (start + Σ u_i·x_i), times lane 2k + Half of `scales` in block k: 16 elements of each.
template <int Half>
[[gnu::always_inline]] inline product_lanes add_half_products(product_lanes sum, code_lanes u,
                                                              code_lanes x, integer_sums start,
                                                              __m256 scales) {
    const __m256i each =
        _mm256_setr_epi32(Half, Half, Half, Half, 2 + Half, 2 + Half, 2 + Half, 2 + Half);
    const __m256i next = _mm256_setr_epi32(4 + Half, 4 + Half, 4 + Half, 4 + Half, 6 + Half,
                                           6 + Half, 6 + Half, 6 + Half);
    const __m256i front = _mm256_add_epi32(start.front, dot_halves(u.front, x.front));
    const __m256i back = _mm256_add_epi32(start.back, dot_halves(u.back, x.back));
    return {_mm256_fmadd_ps(_mm256_cvtepi32_ps(front), _mm256_permutevar8x32_ps(scales, each),
                            sum.front),
            _mm256_fmadd_ps(_mm256_cvtepi32_ps(back), _mm256_permutevar8x32_ps(scales, next),
                            sum.back)};
}
/// Blocks 0 and 1 plus blocks 2 and 3.
[[gnu::always_inline]] inline __m256 add_halves(product_lanes x) {
    return _mm256_add_ps(x.front, x.back);
}

}  // namespace xlens::kernels::detail

#endif
