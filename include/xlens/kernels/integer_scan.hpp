// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/integer_blocks.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#if XLENS_VNNI
#include <immintrin.h>
#endif

// A matrix of 8-bit codes against several vectors of 8-bit codes, whose sums of products are exact:
// what lens/screen.hpp looks over a vocabulary with. Four times the multiply-adds of an f32
// product.

namespace xlens::kernels {

/// Rows of unsigned codes, packed for the scan: a tile holds tile_rows rows, and of each, step by
/// step, four codes. Rows and steps are filled up with zeros.
class packed_codes {
public:
    static constexpr std::size_t group_rows = 16;  ///< lanes of a register of 32-bit sums
    static constexpr std::size_t groups = 2;       ///< registers a tile
    static constexpr std::size_t tile_rows = group_rows * groups;

    packed_codes(std::size_t rows, std::size_t width)
        : m_steps((width + 3) / 4), m_codes((rows + tile_rows - 1) / tile_rows * tile_bytes()) {}

    [[nodiscard]] std::size_t tiles() const { return m_codes.size() / tile_bytes(); }
    [[nodiscard]] std::size_t steps() const { return m_steps; }  ///< fours of codes a row
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

/// Vectors that a tile meets together: with its groups, 24 sums in registers. A tile of 576 codes a
/// row and the codes of these vectors fill level 1.
inline constexpr std::size_t scan_vectors = 12;

/// Sums of products of one tile with some vectors, a row a vector.
using scan_sums = std::array<std::array<std::int32_t, packed_codes::tile_rows>, scan_vectors>;

/// sums(p, r) = Σ_i u_r[i]·x_p[i] over steps·4 codes. Exact below 2^31.
inline void integer_scan(const std::uint8_t* tile, std::size_t steps,
                         const std::array<const std::int8_t*, scan_vectors>& x, scan_sums& sums) {
#if XLENS_VNNI
    constexpr std::size_t G = packed_codes::groups;
    __m512i sum[scan_vectors * G];
    unrolled<scan_vectors * G>([&](auto i) XLENS_INLINE { sum[i] = _mm512_setzero_si512(); });
    for (std::size_t s = 0; s < steps; ++s, tile += 4 * packed_codes::tile_rows) {
        __m512i u[G];
        unrolled<G>([&](auto g) XLENS_INLINE { u[g] = _mm512_loadu_si512(tile + 64 * g); });
        unrolled<scan_vectors>([&](auto p) XLENS_INLINE {
            std::int32_t four = 0;
            std::memcpy(&four, x[p] + 4 * s, sizeof four);
            const __m512i q = _mm512_set1_epi32(four);
            unrolled<G>([&](auto g) XLENS_INLINE {
                sum[p * G + g] = _mm512_dpbusd_epi32(sum[p * G + g], u[g], q);
            });
        });
    }
    unrolled<scan_vectors * G>([&](auto i) XLENS_INLINE {
        _mm512_storeu_si512(&sums[i / G][i % G * packed_codes::group_rows], sum[i]);
    });
#else
    for (std::size_t p = 0; p < scan_vectors; ++p) {
        sums[p].fill(0);
        for (std::size_t s = 0; s < steps; ++s) {
            for (std::size_t r = 0; r < packed_codes::tile_rows; ++r) {
                for (std::size_t i = 0; i < 4; ++i) {
                    sums[p][r] += tile[(s * packed_codes::tile_rows + r) * 4 + i] * x[p][4 * s + i];
                }
            }
        }
    }
#endif
}

}  // namespace xlens::kernels
