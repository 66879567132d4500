// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/quantised_rows.hpp>
#include <xlens/storage/formats.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

// Dot products in integers: weights that are small integers under a scale, w = d·u + m with u in
// [0, 255], meet inputs x = s·q with q in [-127, 127] (quantised_rows.hpp):
//   Σ_i w_i·x_i = d·s·Σ u_i·q_i + m·s·Σ q_i        over a block of 32
// The sum of products is exact, by the VNNI instruction (four products a lane and instruction) that
// xsimd does not offer. Intrinsics stand behind this one fence: here, and in integer_scan.hpp, which
// uses it. Without the instruction there are no integer products, and `precision::native` computes as
// f32 does.

#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__F16C__)
#define XLENS_INTEGER_DOTS 1
#include <immintrin.h>
#else
#define XLENS_INTEGER_DOTS 0
#endif

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

/// Blocks of four rows side by side, 16 bytes a row in each register.
using four_blocks = std::array<const std::byte*, 4>;

[[gnu::always_inline]] inline __m512i load_16_bytes_each(const four_blocks& src,
                                                         std::size_t offset) {
    const auto part = [&](std::size_t r) XLENS_INLINE {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(src[r] + offset));
    };
    __m512i out = _mm512_castsi128_si512(part(0));
    out = _mm512_inserti32x4(out, part(1), 1);
    out = _mm512_inserti32x4(out, part(2), 2);
    return _mm512_inserti32x4(out, part(3), 3);
}

/// The codes u of four blocks: elements 0 to 15 of each, then 16 to 31.
struct block_codes {
    __m512i low;
    __m512i high;
};
[[gnu::always_inline]] inline block_codes load_nibbles(const four_blocks& src, std::size_t offset) {
    const __m512i packed = load_16_bytes_each(src, offset);
    const __m512i mask = _mm512_set1_epi8(0x0F);
    return {_mm512_and_si512(packed, mask), _mm512_and_si512(_mm512_srli_epi16(packed, 4), mask)};
}

/// How a format is w = d·u + m: its codes, and (d, m) as two binary16 in a word; where m is a
/// multiple of d, (d, d) and that multiple.
template <class Format>
struct integer_codes;

template <>
struct integer_codes<q4_1> {
    static constexpr float minimum_factor = 1.0F;
    [[gnu::always_inline]] static block_codes load(const four_blocks& src) {
        return load_nibbles(src, 4);
    }
    static std::uint32_t scales(const std::byte* src) { return load_unaligned<std::uint32_t>(src); }
};
template <>
struct integer_codes<q4_0> {
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
    static constexpr float minimum_factor = -128.0F;
    [[gnu::always_inline]] static block_codes load(const four_blocks& src) {
        const __m512i flip = _mm512_set1_epi8(static_cast<char>(0x80));  // q + 128
        return {_mm512_xor_si512(load_16_bytes_each(src, 2), flip),
                _mm512_xor_si512(load_16_bytes_each(src, 18), flip)};
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
    __m512 products[P];  // four lanes a row
    __m256 minima[P];    // of row r in lane 2r + 1
    unrolled<P>([&](auto p) XLENS_INLINE {
        codes[p] = x.codes(first + p);
        scales[p] = x.scales(first + p);
        sums[p] = x.sums(first + p);
        products[p] = _mm512_setzero_ps();
        minima[p] = _mm256_setzero_ps();
    });
    const __m512i each_d = _mm512_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6);
    for (std::size_t b = 0; b < blocks; ++b) {
        const block_codes u = integer_codes<Format>::load(w);
        const __m256 d_and_m = load_scales<Format>(w);
        const __m512 d = _mm512_permutexvar_ps(each_d, _mm512_castps256_ps512(d_and_m));
        unrolled<P>([&](auto p) XLENS_INLINE {
            const auto part = [&](std::size_t i) XLENS_INLINE {
                return _mm512_broadcast_i32x4(_mm_loadu_si128(
                    reinterpret_cast<const __m128i*>(codes[p] + b * quantised_rows::block + i)));
            };
            __m512i dot = _mm512_dpbusd_epi32(_mm512_setzero_si512(), u.low, part(0));
            dot = _mm512_dpbusd_epi32(dot, u.high, part(16));
            const __m512 scaled =
                _mm512_mul_ps(_mm512_cvtepi32_ps(dot), _mm512_set1_ps(scales[p][b]));
            products[p] = _mm512_fmadd_ps(scaled, d, products[p]);
            minima[p] = _mm256_fmadd_ps(d_and_m, _mm256_set1_ps(sums[p][b]), minima[p]);
        });
        unrolled<4>([&](auto r) XLENS_INLINE {
            if (ahead > 0) { __builtin_prefetch(w[r] + ahead, 0, blocking::prefetch_level_2); }
            w[r] += Format::bytes;
        });
    }
    unrolled<P>([&](auto p) XLENS_INLINE {
        const __m512 pairs = _mm512_add_ps(products[p], _mm512_permute_ps(products[p], 0xB1));
        const __m512 fours = _mm512_add_ps(pairs, _mm512_permute_ps(pairs, 0x4E));
        std::array<float, 16> product;
        std::array<float, 8> minimum;
        _mm512_storeu_ps(product.data(), fours);
        _mm256_storeu_ps(minimum.data(), minima[p]);
        for (std::size_t r = 0; r < 4; ++r) {
            out[p * 4 + r] =
                product[4 * r] + integer_codes<Format>::minimum_factor * minimum[2 * r + 1];
        }
    });
}

}  // namespace detail

#endif

}  // namespace xlens::kernels
