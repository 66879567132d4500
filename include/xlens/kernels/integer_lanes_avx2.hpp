// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/input_layout.hpp>
#include <xlens/kernels/integer_blocks.hpp>
#include <xlens/kernels/integer_loads.hpp>
#include <xlens/storage/formats/floats.hpp>

#include <cstddef>
#include <cstdint>

// The part of integer_lanes.hpp for processors with AVX2: four blocks are two registers, whose
// halves are blocks 0 and 2, and 1 and 3, so that sums of neighbouring lanes bring blocks together
// in their order.

#if XLENS_INTEGER_AVX2
#include <immintrin.h>

namespace xlens::kernels::detail {

/// 16 codes of each of four blocks: of blocks 0 and 2, of blocks 1 and 3.
struct code_lanes {
    __m256i front, back;
};
using block_sums = __m256i;  ///< two lanes a block

/// Rows whose eight lanes stand side by side in a batch.
inline constexpr std::size_t rows_a_batch = 1;
[[gnu::always_inline]] inline batch side_by_side(const __m256 (&rows)[1]) { return rows[0]; }
/// The same eight floats for each row.
[[gnu::always_inline]] inline batch for_each_row(const float* eight) {
    return _mm256_loadu_ps(eight);
}
[[gnu::always_inline]] inline batch_of_ints as_ints(const batch& x) {
    return _mm256_castps_si256(x.data);
}
template <std::size_t>
[[gnu::always_inline]] inline __m256 row_of(const batch& x) {
    return x.data;
}

/// 16 bytes a block: one(k) of block k.
template <class One>
[[gnu::always_inline]] inline code_lanes of_each_block(One one) {
    const auto two = [&](std::size_t a, std::size_t b) XLENS_INLINE {
        return _mm256_inserti128_si256(_mm256_castsi128_si256(one(a)), one(b), 1);
    };
    return {two(0, 2), two(1, 3)};
}
/// The 16 bytes at `offset` of blocks of any size.
[[gnu::always_inline]] inline code_lanes load_one_by_one(const four_blocks& blocks,
                                                         std::size_t bytes, std::size_t offset) {
    return of_each_block([&](std::size_t k)
                             XLENS_INLINE { return load_16(blocks.at + k * bytes + offset); });
}
template <block_layout layout, std::size_t offset>
[[gnu::always_inline]] inline code_lanes load_bytes(const four_blocks& blocks) {
    return load_one_by_one(blocks, layout.bytes, offset);
}
/// The binary16 at the beginning of each of eight blocks, in the order of lanes (input_layout.hpp).
template <std::size_t groups, std::size_t bytes>
[[gnu::always_inline]] inline __m128i load_halves(const std::byte* at) {
    return blend_halves<groups, bytes>(at);
}
/// The same of words of two halves, in the order of the blocks.
template <std::size_t groups, std::size_t bytes>
[[gnu::always_inline]] inline __m256i load_words(const std::byte* at) {
    return blend_words<groups, bytes>(at);
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
[[gnu::always_inline]] inline code_lanes low_nibbles(code_lanes x) {
    return {low_nibbles(x.front), low_nibbles(x.back)};
}
[[gnu::always_inline]] inline code_lanes high_nibbles(code_lanes x) {
    return {high_nibbles(x.front), high_nibbles(x.back)};
}

// Sixteen bytes a block, moved and cut: what codes of other layouts are put together from.

/// Block 0 gets the bytes from 16·a on, block 1 those from 16·b on, and so on.
template <int a, int b, int c, int d>
[[gnu::always_inline]] inline code_lanes load_in_order(const std::byte* from) {
    constexpr int begin[] = {16 * a, 16 * b, 16 * c, 16 * d};
    return of_each_block([&](std::size_t k) XLENS_INLINE { return load_16(from + begin[k]); });
}
/// The same 16 bytes for each block.
[[gnu::always_inline]] inline code_lanes load_for_each(const std::byte* from) {
    const __m256i twice = _mm256_broadcastsi128_si256(load_16(from));
    return {twice, twice};
}
template <int first, int second>
[[gnu::always_inline]] inline __m256i shifted_right(__m256i x) {
    if constexpr (first != second) {
        return _mm256_srlv_epi32(
            x, _mm256_setr_epi32(first, first, first, first, second, second, second, second));
    } else if constexpr (first != 0) {
        return _mm256_srli_epi32(x, first);
    } else {
        return x;
    }
}
/// The bits from a on of each byte of block 0, from b on of block 1, and so on: those of `mask`.
template <int a, int b, int c, int d>
[[gnu::always_inline]] inline code_lanes bits_from(code_lanes x, int mask) {
    const __m256i keep = _mm256_set1_epi8(static_cast<char>(mask));
    return {_mm256_and_si256(shifted_right<a, c>(x.front), keep),
            _mm256_and_si256(shifted_right<b, d>(x.back), keep)};
}
/// low | high << at, whose bits stay within their bytes.
template <int at>
[[gnu::always_inline]] inline code_lanes with_bits_at(code_lanes low, code_lanes high) {
    return {_mm256_or_si256(low.front, _mm256_slli_epi32(high.front, at)),
            _mm256_or_si256(low.back, _mm256_slli_epi32(high.back, at))};
}
/// low | high.
[[gnu::always_inline]] inline code_lanes with_bits(code_lanes low, code_lanes high) {
    return {_mm256_or_si256(low.front, high.front), _mm256_or_si256(low.back, high.back)};
}
/// A word of 32 bits of each block, bit i of which belongs to element i.
class words_of_bits {
public:
    /// Those at `offset` of blocks of any size.
    [[gnu::always_inline]] words_of_bits(const four_blocks& blocks, std::size_t bytes,
                                         std::size_t offset) {
        const auto word = [&](std::size_t k) XLENS_INLINE {
            return load_unaligned<std::int32_t>(blocks.at + k * bytes + offset);
        };
        m_words = _mm256_broadcastsi128_si256(_mm_setr_epi32(word(0), word(1), word(2), word(3)));
    }
    /// Byte i of block k: 16 where bit i of its word, of the other half bit 16 + i, is set, else 0.
    template <std::size_t half>
    [[gnu::always_inline]] code_lanes sixteens() const {
        const __m256i bits = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ULL));
        const auto two = [&](long long block, long long other) XLENS_INLINE {
            constexpr long long every = 0x0101010101010101LL;
            const auto eight = [&](long long from, long long i) XLENS_INLINE {
                return (4 * from + static_cast<long long>(2 * half) + i) * every;
            };
            const __m256i place = _mm256_setr_epi64x(eight(block, 0), eight(block, 1),
                                                     eight(other, 0), eight(other, 1));
            const __m256i set = _mm256_and_si256(_mm256_shuffle_epi8(m_words, place), bits);
            return _mm256_and_si256(_mm256_cmpeq_epi8(set, bits), _mm256_set1_epi8(16));
        };
        return {two(0, 2), two(1, 3)};
    }

private:
    __m256i m_words;
};
/// Each byte, below 16, as an index of 16 bytes.
[[gnu::always_inline]] inline code_lanes look_up(__m128i table, code_lanes x) {
    const __m256i twice = _mm256_broadcastsi128_si256(table);
    return {_mm256_shuffle_epi8(twice, x.front), _mm256_shuffle_epi8(twice, x.back)};
}

// Sums of products of codes u of `bits` bits, without a sign where these are fewer than 8, with
// inputs x from -127 to 127. All are exact.

/// Whether `count` products can be added up in 16 bits. One instruction of AVX-VNNI adds four of
/// them in 32 bits.
constexpr bool fit_16(int bits, int count) {
    return !XLENS_AVX_VNNI && bits < 8 && count * ((1 << bits) - 1) * 127 < 1 << 15;
}
/// Codes of 8 bits, which have signs, meet inputs whose signs are changed instead.
inline constexpr bool raises_codes = false;
/// Sums of two neighbouring lanes of 16 bits.
[[gnu::always_inline]] inline __m256i widened(__m256i x) {
    return _mm256_madd_epi16(x, _mm256_set1_epi16(1));
}
/// sum + u·x, u without a sign: two products in each lane of 16 bits if `narrow`, else four in 32.
template <bool narrow>
[[gnu::always_inline]] inline __m256i add_unsigned_dot(__m256i sum, __m256i u, __m256i x) {
    if constexpr (narrow) {
        return _mm256_add_epi16(sum, _mm256_maddubs_epi16(u, x));
    } else {
#if XLENS_AVX_VNNI
        return _mm256_dpbusd_avx_epi32(sum, u, x);
#else
        return _mm256_add_epi32(sum, widened(_mm256_maddubs_epi16(u, x)));
#endif
    }
}
/// What it has summed up, in 32 bits.
template <bool narrow>
[[gnu::always_inline]] inline __m256i sum_in_32_bits(__m256i sum) {
    return narrow ? widened(sum) : sum;
}
/// add_unsigned_dot of codes that have a sign if they have 8 bits: |u|·(x with u's sign), of which
/// two fit into 16 bits, 2·128·127.
template <bool narrow, int bits>
[[gnu::always_inline]] inline __m256i add_dot(__m256i sum, __m256i u, __m256i x) {
    if constexpr (bits == 8) {
        return add_unsigned_dot<narrow>(sum, _mm256_abs_epi8(u), _mm256_sign_epi8(x, u));
    } else {
        return add_unsigned_dot<narrow>(sum, u, x);
    }
}
template <bool narrow>
[[gnu::always_inline]] inline __m256i add_lanes(__m256i a, __m256i b) {
    return narrow ? _mm256_add_epi16(a, b) : _mm256_add_epi32(a, b);
}

// Sums of the lanes of a block: two shuffles that halve its lanes, and an addition. An instruction
// for it (vphaddw) takes as long as four shuffles.

/// Σ u·x of N halves of each of four blocks, in 64 bits each: 0 and 1, then 2 and 3.
template <int bits, std::size_t N>
[[gnu::always_inline]] inline __m256i dot_four(const code_lanes (&u)[N], const code_lanes (&x)[N]) {
    constexpr bool narrow = fit_16(bits, 4 * N);
    __m256i front = _mm256_setzero_si256();
    __m256i back = _mm256_setzero_si256();
    unrolled<N>([&](auto i) XLENS_INLINE {
        front = add_dot<narrow, bits>(front, u[i].front, x[i].front);
        back = add_dot<narrow, bits>(back, u[i].back, x[i].back);
    });
    return add_lanes<narrow>(_mm256_unpacklo_epi64(front, back),
                             _mm256_unpackhi_epi64(front, back));
}
/// The same of twice four blocks a and b, a lane of 32 bits each: a's 0 and 1, b's 0 and 1, a's 2
/// and 3, b's 2 and 3.
template <int bits, std::size_t N>
[[gnu::always_inline]] inline batch_of_ints join_fours(const block_sums (&of_a)[1],
                                                       const block_sums (&of_b)[1]) {
    __m256i a = of_a[0];
    __m256i b = of_b[0];
    constexpr bool narrow = fit_16(bits, 8 * N);
    if constexpr (!narrow && fit_16(bits, 4 * N)) {
        a = widened(a);
        b = widened(b);
    }
    const __m256 x = _mm256_castsi256_ps(a);
    const __m256 y = _mm256_castsi256_ps(b);
    const __m256i sum =
        add_lanes<narrow>(_mm256_castps_si256(_mm256_shuffle_ps(x, y, _MM_SHUFFLE(2, 0, 2, 0))),
                          _mm256_castps_si256(_mm256_shuffle_ps(x, y, _MM_SHUFFLE(3, 1, 3, 1))));
    return narrow ? widened(sum) : sum;
}

}  // namespace xlens::kernels::detail

#endif
