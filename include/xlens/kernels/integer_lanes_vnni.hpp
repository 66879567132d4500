// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/core/unroll.hpp>
#include <xlens/kernels/input_layout.hpp>
#include <xlens/kernels/integer_blocks.hpp>
#include <xlens/kernels/integer_loads.hpp>
#include <xlens/storage/formats/floats.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

// The part of integer_lanes.hpp for processors with AVX-512 and VNNI.

#if XLENS_VNNI
#include <immintrin.h>

namespace xlens::kernels::detail {

using code_lanes = __m512i;  ///< 16 codes of each of four blocks
using block_sums = __m512i;  ///< four lanes a block

/// Rows whose eight lanes stand side by side in a batch.
inline constexpr std::size_t rows_a_batch = 2;
[[gnu::always_inline]] inline batch side_by_side(const __m256 (&rows)[2]) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(rows[0]), rows[1], 1);
}
/// The same eight floats for each row.
[[gnu::always_inline]] inline batch for_each_row(const float* eight) {
    return _mm512_broadcast_f32x8(_mm256_loadu_ps(eight));
}
[[gnu::always_inline]] inline batch_of_ints as_ints(const batch& x) {
    return _mm512_castps_si512(x.data);
}
template <std::size_t i>
[[gnu::always_inline]] inline __m256 row_of(const batch& x) {
    return _mm512_extractf32x8_ps(x.data, i);
}

[[gnu::always_inline]] inline __m512i load_64(const void* from) {
    __m512i all = _mm512_loadu_si512(from);
    keep_in_register(all);
    return all;
}

/// Units of 4 or 2 bytes of two registers side by side: in place i unit from[i].
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

/// Two loads hold 16 bytes of each of four blocks that are not too far apart: one those of blocks
/// 0 and 2, from `even` on, one those of 1 and 3. In either, which ends with what it is for or
/// begins with it, they stand at multiples of four bytes, as permutations like them best.
template <std::size_t bytes, std::size_t offset>
struct bytes_of_blocks {
    static constexpr bool two_loads = 2 * bytes + 16 <= 64;
    static constexpr std::size_t even = offset;
    static constexpr std::size_t odd = 3 * bytes + offset + 16 - 64;
    static constexpr std::array<std::uint32_t, 16> from = [] {
        std::array<std::uint32_t, 16> out{};
        for (std::uint32_t i = 0; i < 16; ++i) {
            const std::size_t block = i / 4;
            const std::size_t begin = block % 2 == 0 ? even : odd;
            out[i] = static_cast<std::uint32_t>(block % 2 * 16 +
                                                (block * bytes + offset - begin) / 4 + i % 4);
        }
        return out;
    }();
};
/// The 16 bytes at `offset` of blocks of any size.
[[gnu::always_inline]] inline code_lanes load_one_by_one(const four_blocks& blocks,
                                                         std::size_t bytes, std::size_t offset) {
    const auto one = [&](std::size_t k)
                         XLENS_INLINE { return load_16(blocks.at + k * bytes + offset); };
    const __m512i two = _mm512_inserti32x4(_mm512_castsi128_si512(one(0)), one(1), 1);
    return _mm512_inserti32x4(_mm512_inserti32x4(two, one(2), 2), one(3), 3);
}
/// The 16 bytes at `offset` of each block.
template <block_layout layout, std::size_t offset>
[[gnu::always_inline]] inline code_lanes load_bytes(const four_blocks& blocks) {
    using part = bytes_of_blocks<layout.bytes, offset>;
    if constexpr (part::two_loads) {
        return choose(load_64(blocks.at + part::even), load_64(blocks.at + part::odd), part::from);
    } else {
        return load_one_by_one(blocks, layout.bytes, offset);
    }
}

/// Two loads hold what stands at the beginning of each of eight small blocks: the second begins
/// where the first cannot reach. block(i) comes to place i.
template <class Unit, std::size_t bytes>
struct beginnings_of_blocks {
    static constexpr std::size_t in_first = (64 - sizeof(Unit)) / bytes + 1;
    static constexpr std::size_t second = in_first * bytes;
    static constexpr bool two_loads = 7 * bytes + sizeof(Unit) <= second + 64;

    template <class Block>
    static constexpr std::array<Unit, 64 / sizeof(Unit)> from(Block block) {
        std::array<Unit, 64 / sizeof(Unit)> out{};
        for (std::size_t i = 0; i < 8; ++i) {
            const std::size_t at = block(i) * bytes;
            out[i] =
                static_cast<Unit>((block(i) < in_first ? at : at - second + 64) / sizeof(Unit));
        }
        return out;
    }
    template <class Block>
    [[gnu::always_inline]] static __m512i load(const std::byte* at, Block block) {
        constexpr auto places = from(block);
        return choose(load_64(at), load_64(at + second), places);
    }
};
/// The binary16 at the beginning of each of eight blocks, in the order of lanes (input_layout.hpp).
template <std::size_t groups, std::size_t bytes>
[[gnu::always_inline]] inline __m128i load_halves(const std::byte* at) {
    using part = beginnings_of_blocks<std::uint16_t, bytes>;
    if constexpr (groups == 2 && part::two_loads) {
        return _mm512_castsi512_si128(
            part::load(at, [](std::size_t i) { return input_layout::block_of[i]; }));
    } else {
        return blend_halves<groups, bytes>(at);
    }
}
/// The same of words of two halves, in the order of the blocks.
template <std::size_t groups, std::size_t bytes>
[[gnu::always_inline]] inline __m256i load_words(const std::byte* at) {
    using part = beginnings_of_blocks<std::uint32_t, bytes>;
    if constexpr (groups == 2 && part::two_loads) {
        return _mm512_castsi512_si256(part::load(at, [](std::size_t i) { return i; }));
    } else {
        return blend_words<groups, bytes>(at);
    }
}
[[gnu::always_inline]] inline code_lanes load_inputs(const std::int8_t* x) { return load_64(x); }
[[gnu::always_inline]] inline void store_codes(code_lanes codes, void* to) {
    _mm512_storeu_si512(to, codes);
}
[[gnu::always_inline]] inline code_lanes low_nibbles(code_lanes x) {
    return _mm512_and_si512(x, _mm512_set1_epi8(0x0F));
}
[[gnu::always_inline]] inline code_lanes high_nibbles(code_lanes x) {
#ifdef __GFNI__
    // One instruction: a matrix of bits says of which bits each bit of a byte is the sum.
    return _mm512_gf2p8affine_epi64_epi8(
        x, _mm512_set1_epi64(static_cast<long long>(0x1020408000000000ULL)), 0);
#else
    return low_nibbles(_mm512_srli_epi16(x, 4));
#endif
}

// Sixteen bytes a block, moved and cut: what codes of other layouts are put together from.

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
    /// Those at `offset` of blocks of any size.
    [[gnu::always_inline]] words_of_bits(const four_blocks& blocks, std::size_t bytes,
                                         std::size_t offset) {
        unrolled<4>([&](auto k) XLENS_INLINE {
            const auto word = load_unaligned<std::uint32_t>(blocks.at + k * bytes + offset);
            m_halves[0] |= std::uint64_t{word & 0xFFFFU} << (16 * k);
            m_halves[1] |= std::uint64_t{word >> 16U} << (16 * k);
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

// Sums of products of codes u of `bits` bits, without a sign where these are fewer than 8, with
// inputs x from -127 to 127. All are exact.

/// One instruction adds four products in 32 bits.
constexpr bool fit_16(int, int) { return false; }
/// Codes of 8 bits, which have signs, are raised by 128: their sums are too large by 128·Σ x.
inline constexpr bool raises_codes = true;
[[gnu::always_inline]] inline __m512i raised(__m512i u) {
    return _mm512_xor_si512(u, _mm512_set1_epi8(static_cast<char>(0x80)));
}
/// sum + u·x, u without a sign: four products in each lane.
template <bool>
[[gnu::always_inline]] inline __m512i add_unsigned_dot(__m512i sum, __m512i u, __m512i x) {
    return _mm512_dpbusd_epi32(sum, u, x);
}
/// What add_unsigned_dot has summed up, in 32 bits.
template <bool>
[[gnu::always_inline]] inline __m512i sum_in_32_bits(__m512i sum) {
    return sum;
}

/// Σ u·x of N halves of each of four blocks, in four lanes each.
template <int bits, std::size_t N>
[[gnu::always_inline]] inline __m512i dot_four(const code_lanes (&u)[N], const code_lanes (&x)[N]) {
    __m512i sum = _mm512_setzero_si512();
    unrolled<N>([&](auto i) XLENS_INLINE {
        sum = _mm512_dpbusd_epi32(sum, bits == 8 ? raised(u[i]) : u[i], x[i]);
    });
    return sum;
}
/// The same of twice four blocks a and b of each row, a lane of 32 bits each: a's 0 and 1, b's 0
/// and 1, a's 2 and 3, b's 2 and 3.
template <int bits, std::size_t N>
[[gnu::always_inline]] inline batch_of_ints join_fours(const block_sums (&a)[2],
                                                       const block_sums (&b)[2]) {
    const auto twos = [&](std::size_t r) XLENS_INLINE {
        return _mm512_add_epi32(_mm512_unpacklo_epi32(a[r], b[r]),
                                _mm512_unpackhi_epi32(a[r], b[r]));
    };
    const __m512i first = twos(0);
    const __m512i second = twos(1);
    const __m512i ones = _mm512_add_epi32(_mm512_unpacklo_epi64(first, second),
                                          _mm512_unpackhi_epi64(first, second));
    const __m512i order = _mm512_setr_epi32(0, 4, 1, 5, 8, 12, 9, 13, 2, 6, 3, 7, 10, 14, 11, 15);
    return _mm512_permutexvar_epi32(order, ones);
}

}  // namespace xlens::kernels::detail

#endif
