// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

// What integer products (integer_dots.hpp) ask of a processor and xsimd does not offer: sums of products
// of 8-bit integers, for four rows of weights at once. Intrinsics stand behind this one fence, and in
// integer_scan.hpp. Two processors have them: with VNNI one instruction multiplies and adds four
// codes a lane, with AVX2 alone it takes three. Both add up the same four lanes a row.

#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__F16C__)
#define XLENS_VNNI 1
#else
#define XLENS_VNNI 0
#endif
#if XLENS_VNNI || (defined(__AVX2__) && defined(__FMA__) && defined(__F16C__))
#define XLENS_INTEGER_DOTS 1
#include <immintrin.h>
#else
#define XLENS_INTEGER_DOTS 0
#endif

#if XLENS_INTEGER_DOTS

namespace xlens::kernels::detail {

/// Blocks of four rows side by side.
using four_blocks = std::array<const std::byte*, 4>;

[[gnu::always_inline]] inline __m128i load_16_bytes(const void* src) {
    return _mm_loadu_si128(static_cast<const __m128i*>(src));
}

#if XLENS_VNNI

using row_codes = __m512i;  ///< 16 bytes of each of four rows
using row_sums = __m512;    ///< four lanes a row

[[gnu::always_inline]] inline row_codes load_rows(const four_blocks& src, std::size_t offset) {
    __m512i out = _mm512_castsi128_si512(load_16_bytes(src[0] + offset));
    out = _mm512_inserti32x4(out, load_16_bytes(src[1] + offset), 1);
    out = _mm512_inserti32x4(out, load_16_bytes(src[2] + offset), 2);
    return _mm512_inserti32x4(out, load_16_bytes(src[3] + offset), 3);
}
[[gnu::always_inline]] inline row_codes low_nibbles(row_codes x) {
    return _mm512_and_si512(x, _mm512_set1_epi8(0x0F));
}
[[gnu::always_inline]] inline row_codes high_nibbles(row_codes x) {
    return low_nibbles(_mm512_srli_epi16(x, 4));
}
[[gnu::always_inline]] inline row_codes plus_128(row_codes x) {
    return _mm512_xor_si512(x, _mm512_set1_epi8(static_cast<char>(0x80)));
}

/// Σ u_i·x_i of a block: codes u below 2^Bits, elements 0 to 15 in `low` and 16 to 31 in `high`.
template <int Bits>
[[gnu::always_inline]] inline row_sums dot_codes(row_codes low, row_codes high,
                                                 const std::int8_t* x) {
    const __m512i first = _mm512_broadcast_i32x4(load_16_bytes(x));
    const __m512i second = _mm512_broadcast_i32x4(load_16_bytes(x + 16));
    const __m512i dot = _mm512_dpbusd_epi32(_mm512_setzero_si512(), low, first);
    return _mm512_cvtepi32_ps(_mm512_dpbusd_epi32(dot, high, second));
}
[[gnu::always_inline]] inline row_sums zero_sums() { return _mm512_setzero_ps(); }
/// sum + dot·scale·d.
[[gnu::always_inline]] inline row_sums add_scaled(row_sums sum, row_sums dot, float scale,
                                                  row_sums d) {
    return _mm512_fmadd_ps(_mm512_mul_ps(dot, _mm512_set1_ps(scale)), d, sum);
}
/// Lane 2r of the argument in the four lanes of row r.
[[gnu::always_inline]] inline row_sums spread_even(__m256 d_and_m) {
    const __m512i each = _mm512_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6);
    return _mm512_permutexvar_ps(each, _mm512_castps256_ps512(d_and_m));
}
/// Lane r: the sum of row r's four lanes.
[[gnu::always_inline]] inline __m128 sum_each(row_sums x) {
    const __m512 pairs = _mm512_add_ps(x, _mm512_permute_ps(x, 0xB1));
    const __m512 fours = _mm512_add_ps(pairs, _mm512_permute_ps(pairs, 0x4E));
    const __m512i each = _mm512_castsi128_si512(_mm_setr_epi32(0, 4, 8, 12));
    return _mm512_castps512_ps128(_mm512_permutexvar_ps(each, fours));
}

#else

struct row_codes {  ///< 16 bytes of each of four rows: two rows a register
    __m256i front, back;
};
struct row_sums {  ///< four lanes a row
    __m256 front, back;
};

[[gnu::always_inline]] inline row_codes load_rows(const four_blocks& src, std::size_t offset) {
    const auto two = [&](std::size_t r) {
        return _mm256_inserti128_si256(_mm256_castsi128_si256(load_16_bytes(src[r] + offset)),
                                       load_16_bytes(src[r + 1] + offset), 1);
    };
    return {two(0), two(2)};
}
[[gnu::always_inline]] inline __m256i low_nibbles(__m256i x) {
    return _mm256_and_si256(x, _mm256_set1_epi8(0x0F));
}
[[gnu::always_inline]] inline __m256i high_nibbles(__m256i x) {
    return low_nibbles(_mm256_srli_epi16(x, 4));
}
[[gnu::always_inline]] inline row_codes low_nibbles(row_codes x) {
    return {low_nibbles(x.front), low_nibbles(x.back)};
}
[[gnu::always_inline]] inline row_codes high_nibbles(row_codes x) {
    return {high_nibbles(x.front), high_nibbles(x.back)};
}
[[gnu::always_inline]] inline row_codes plus_128(row_codes x) {
    const __m256i top = _mm256_set1_epi8(static_cast<char>(0x80));
    return {_mm256_xor_si256(x.front, top), _mm256_xor_si256(x.back, top)};
}

/// Σ u_i·x_i in pairs of 16 bits, exact for codes u below 16: 4·15·127 < 2^15.
[[gnu::always_inline]] inline __m256i dot_nibbles(__m256i low, __m256i high, __m256i first,
                                                  __m256i second) {
    return _mm256_add_epi16(_mm256_maddubs_epi16(low, first), _mm256_maddubs_epi16(high, second));
}
/// Codes of eight bits are two nibbles, as their products would not fit into 16 bits.
template <int Bits>
[[gnu::always_inline]] inline __m256 dot_two_rows(__m256i low, __m256i high, __m256i first,
                                                  __m256i second) {
    const __m256i ones = _mm256_set1_epi16(1);
    if constexpr (Bits == 4) {
        return _mm256_cvtepi32_ps(_mm256_madd_epi16(dot_nibbles(low, high, first, second), ones));
    } else {
        const __m256i lower = dot_nibbles(low_nibbles(low), low_nibbles(high), first, second);
        const __m256i upper = dot_nibbles(high_nibbles(low), high_nibbles(high), first, second);
        return _mm256_cvtepi32_ps(_mm256_add_epi32(
            _mm256_madd_epi16(lower, ones), _mm256_madd_epi16(upper, _mm256_set1_epi16(16))));
    }
}
/// Σ u_i·x_i of a block: codes u below 2^Bits, elements 0 to 15 in `low` and 16 to 31 in `high`.
template <int Bits>
[[gnu::always_inline]] inline row_sums dot_codes(row_codes low, row_codes high,
                                                 const std::int8_t* x) {
    const __m256i first = _mm256_broadcastsi128_si256(load_16_bytes(x));
    const __m256i second = _mm256_broadcastsi128_si256(load_16_bytes(x + 16));
    return {dot_two_rows<Bits>(low.front, high.front, first, second),
            dot_two_rows<Bits>(low.back, high.back, first, second)};
}
[[gnu::always_inline]] inline row_sums zero_sums() {
    return {_mm256_setzero_ps(), _mm256_setzero_ps()};
}
/// sum + dot·scale·d.
[[gnu::always_inline]] inline row_sums add_scaled(row_sums sum, row_sums dot, float scale,
                                                  row_sums d) {
    const __m256 s = _mm256_set1_ps(scale);
    return {_mm256_fmadd_ps(_mm256_mul_ps(dot.front, s), d.front, sum.front),
            _mm256_fmadd_ps(_mm256_mul_ps(dot.back, s), d.back, sum.back)};
}
/// Lane 2r of the argument in the four lanes of row r.
[[gnu::always_inline]] inline row_sums spread_even(__m256 d_and_m) {
    return {_mm256_permutevar8x32_ps(d_and_m, _mm256_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2)),
            _mm256_permutevar8x32_ps(d_and_m, _mm256_setr_epi32(4, 4, 4, 4, 6, 6, 6, 6))};
}
/// Lane r: the sum of row r's four lanes.
[[gnu::always_inline]] inline __m128 sum_each(row_sums x) {
    const auto two = [](__m256 v) {
        const __m256 pairs = _mm256_add_ps(v, _mm256_permute_ps(v, 0xB1));
        const __m256 fours = _mm256_add_ps(pairs, _mm256_permute_ps(pairs, 0x4E));
        return _mm_unpacklo_ps(_mm256_castps256_ps128(fours), _mm256_extractf128_ps(fours, 1));
    };
    return _mm_movelh_ps(two(x.front), two(x.back));
}

#endif

/// Lane r: lane 2r + 1 of the argument.
[[gnu::always_inline]] inline __m128 odd_lanes(__m256 x) {
    return _mm_shuffle_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1), 0xDD);
}

}  // namespace xlens::kernels::detail

#endif
