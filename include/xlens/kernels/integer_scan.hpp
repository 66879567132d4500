// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/integer_blocks.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#if XLENS_VNNI || defined(__AVX2__)
#include <immintrin.h>
#endif

// A matrix of 8-bit codes against several vectors of 8-bit codes, whose sums of products are exact:
// what lens/screen.hpp looks over a vocabulary with. With VNNI four times the multiply-adds of an
// f32 product, with AVX2 one and a half; and a quarter of its bytes.

namespace xlens::kernels {

/// Whether this build has the instructions that make a scan faster than a product in f32.
#if XLENS_VNNI || defined(__AVX2__)
inline constexpr bool fast_integer_scan = true;
#else
inline constexpr bool fast_integer_scan = false;
#endif

/// What codes may be: at most 127, of rows and of vectors. A row's are kept as b + row_offset, for
/// VNNI's instruction wants one side unsigned. AVX2's adds two products in 16 bits, |b|·a with b's
/// sign; four of them, the elements i of 8 that follow each other with equal i / 2 % 2, are added
/// up there. So that they fit, the codes of a vector in each such half of 8 are 258 together at
/// most: 127·258 < 2^15.
inline constexpr bool narrow_scan = !XLENS_VNNI && fast_integer_scan;
inline constexpr int largest_code = 127;
inline constexpr int row_offset = narrow_scan ? 0 : 128;

/// The scale of a vector's codes: code i is x_i / scale, rounded to nearest, and keeps within what
/// is said above (rounding adds 1/2 to each of 4).
inline float scan_scale(std::span<const float> x) {
    float largest = 0.0F;
    for (const float v : x) { largest = std::max(largest, std::abs(v)); }
    float scale = largest / static_cast<float>(largest_code);
    for (std::size_t i = 0; narrow_scan && i < x.size(); i += 8) {
        std::array<float, 2> sum{};
        for (std::size_t j = i; j < std::min(i + 8, x.size()); ++j) {
            sum[j / 2 % 2] += std::abs(x[j]) / 4.0F;  // which cannot overflow
        }
        scale = std::max(scale, std::max(sum[0], sum[1]) / (256.0F / 4.0F));
    }
    return scale;
}

/// Rows of codes b + row_offset, a byte each, packed for the scan: a tile holds tile_rows rows, and
/// of each, step by step, four codes. Rows and steps are filled up with zeros.
class packed_codes {
public:
    static constexpr std::size_t group_rows = 16;  ///< lanes of a register of 32-bit sums
    static constexpr std::size_t groups = 2;       ///< registers a tile
    static constexpr std::size_t tile_rows = group_rows * groups;

    packed_codes(std::size_t rows, std::size_t width)
        : m_steps((width + 15) / 16 * 4),
          m_codes((rows + tile_rows - 1) / tile_rows * tile_bytes()) {}

    [[nodiscard]] std::size_t tiles() const { return m_codes.size() / tile_bytes(); }
    [[nodiscard]] std::size_t steps() const { return m_steps; }  ///< fours of codes a row, in fours
    [[nodiscard]] const std::uint8_t* tile(std::size_t i) const {
        return &m_codes[i * tile_bytes()];
    }
    /// Asks for a tile, into level 2.
    void prefetch(std::size_t i) const {
        constexpr std::size_t line = 64;
        for (std::size_t byte = 0; i < tiles() && byte < tile_bytes(); byte += line) {
            __builtin_prefetch(tile(i) + byte, 0, blocking::prefetch_level_2);
        }
    }
    /// Sets row r to these codes.
    void put(std::size_t r, std::span<const std::uint8_t> codes) {
        const std::size_t group = r % tile_rows / group_rows;
        std::uint8_t* to = &m_codes[r / tile_rows * tile_bytes() + r % group_rows * 4];
        for (std::size_t i = 0; i < codes.size(); ++i) {
            to[(i / 4 * groups + group) * group_rows * 4 + i % 4] = codes[i];
        }
    }

private:
    [[nodiscard]] std::size_t tile_bytes() const { return m_steps * 4 * tile_rows; }

    std::size_t m_steps;
    std::vector<std::uint8_t> m_codes;
};

/// Vectors that a tile meets together: with its groups, 24 sums in registers; with AVX2 8 sums at a
/// time. A tile of 576 codes a row and the codes of these vectors fill level 1.
inline constexpr std::size_t scan_vectors = narrow_scan ? 8 : 12;

/// Sums of products of one tile with P vectors, a row a vector.
template <std::size_t P>
using scan_sums = std::array<std::array<std::int32_t, packed_codes::tile_rows>, P>;

/// Where the codes of each of P vectors begin.
template <std::size_t P>
using scan_codes = std::array<const std::int8_t*, P>;

/// sums(p, r) = Σ_i (b_r[i] + row_offset)·x_p[i] over steps·4 codes. Exact below 2^31.
template <std::size_t P>
void integer_scan(const std::uint8_t* tile, std::size_t steps, const scan_codes<P>& x,
                  scan_sums<P>& sums);

#if XLENS_VNNI
template <std::size_t P>
void integer_scan(const std::uint8_t* tile, std::size_t steps, const scan_codes<P>& x,
                  scan_sums<P>& sums) {
    constexpr std::size_t G = packed_codes::groups;
    __m512i sum[P * G];
    unrolled<P * G>([&](auto i) XLENS_INLINE { sum[i] = _mm512_setzero_si512(); });
    for (std::size_t s = 0; s < steps; ++s, tile += 4 * packed_codes::tile_rows) {
        __m512i u[G];
        unrolled<G>([&](auto g) XLENS_INLINE { u[g] = _mm512_loadu_si512(tile + 64 * g); });
        unrolled<P>([&](auto p) XLENS_INLINE {
            std::int32_t four = 0;
            std::memcpy(&four, x[p] + 4 * s, sizeof four);
            const __m512i q = _mm512_set1_epi32(four);
            unrolled<G>([&](auto g) XLENS_INLINE {
                sum[p * G + g] = _mm512_dpbusd_epi32(sum[p * G + g], u[g], q);
            });
        });
    }
    unrolled<P * G>([&](auto i) XLENS_INLINE {
        _mm512_storeu_si512(&sums[i / G][i % G * packed_codes::group_rows], sum[i]);
    });
}
#elif defined(__AVX2__)
namespace detail {

/// The same for the 8 rows whose codes begin at `tile`. Two steps of a vector are added up in 16
/// bits, then in 32.
template <std::size_t P>
void integer_scan_8_rows(const std::uint8_t* tile, std::size_t steps, const scan_codes<P>& x,
                         std::size_t row, scan_sums<P>& sums) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sum[P];
    unrolled<P>([&](auto p) XLENS_INLINE { sum[p] = _mm256_setzero_si256(); });
    for (std::size_t s = 0; s < steps; s += 2, tile += 8 * packed_codes::tile_rows) {
        __m256i b[2];
        __m256i size[2];
        unrolled<2>([&](auto i) XLENS_INLINE {
            const std::uint8_t* from = tile + 4 * packed_codes::tile_rows * i;
            b[i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
            size[i] = _mm256_abs_epi8(b[i]);
        });
        unrolled<P>([&](auto p) XLENS_INLINE {
            __m256i product[2];
            unrolled<2>([&](auto i) XLENS_INLINE {
                std::int32_t four = 0;
                std::memcpy(&four, x[p] + 4 * (s + i), sizeof four);
                product[i] =
                    _mm256_maddubs_epi16(size[i], _mm256_sign_epi8(_mm256_set1_epi32(four), b[i]));
            });
            const __m256i both = _mm256_add_epi16(product[0], product[1]);
            sum[p] = _mm256_add_epi32(sum[p], _mm256_madd_epi16(both, ones));
        });
    }
    unrolled<P>([&](auto p) XLENS_INLINE {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(&sums[p][row]), sum[p]);
    });
}

}  // namespace detail

template <std::size_t P>
void integer_scan(const std::uint8_t* tile, std::size_t steps, const scan_codes<P>& x,
                  scan_sums<P>& sums) {
    for (std::size_t r = 0; r < packed_codes::tile_rows; r += 8) {
        detail::integer_scan_8_rows<P>(tile + 4 * r, steps, x, r, sums);
    }
}
#else
template <std::size_t P>
void integer_scan(const std::uint8_t* tile, std::size_t steps, const scan_codes<P>& x,
                  scan_sums<P>& sums) {
    for (std::size_t p = 0; p < P; ++p) {
        sums[p].fill(0);
        for (std::size_t s = 0; s < steps; ++s) {
            for (std::size_t r = 0; r < packed_codes::tile_rows; ++r) {
                for (std::size_t i = 0; i < 4; ++i) {
                    sums[p][r] += tile[(s * packed_codes::tile_rows + r) * 4 + i] * x[p][4 * s + i];
                }
            }
        }
    }
}
#endif

}  // namespace xlens::kernels
