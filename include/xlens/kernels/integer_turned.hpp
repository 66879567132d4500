// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/integer_rows.hpp>
#include <xlens/kernels/integer_sums.hpp>
#include <xlens/kernels/product.hpp>
#include <xlens/kernels/quantised_rows.hpp>
#include <xlens/kernels/scratch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

// Rows of weights for integer products of many positions: taken apart, and as many of them as a
// batch has lanes turned so that each has one, where four of its codes stand. What meets them:
// integer_tile.hpp.

#if XLENS_INTEGER_DOTS

namespace xlens::kernels::detail {

/// Codes of 8 bits are two of 4, in planes of their own, 16·high + low, unless one instruction
/// takes them whole.
constexpr bool in_planes([[maybe_unused]] product_kind kind) {
#if XLENS_VNNI || XLENS_AVX_VNNI
    return false;
#else
    return kind.has_sign();
#endif
}

/// What of a tile a product_kind decides. A tile has two registers a step of four codes: of as many
/// rows as both have lanes, or of both planes of half of them.
template <product_kind kind>
struct tile_of {
    static constexpr std::size_t groups = in_planes(kind) ? 1 : 2;  ///< of rows with a lane each
    static constexpr std::size_t rows = lanes * groups;
    static constexpr std::size_t codes_a_step = 2 * sizeof(batch);
    static constexpr std::size_t codes_a_block = 8 * codes_a_step;
    static constexpr std::size_t floats_a_block = kind.floats() * rows;
};

/// Rows and columns of 8 × 8 words change places.
[[gnu::always_inline]] inline void transpose_words(__m256i (&x)[8]) {
    __m256i pairs[8];
    unrolled<4>([&](auto i) XLENS_INLINE {
        pairs[2 * i] = _mm256_unpacklo_epi32(x[2 * i], x[2 * i + 1]);
        pairs[2 * i + 1] = _mm256_unpackhi_epi32(x[2 * i], x[2 * i + 1]);
    });
    __m256i fours[8];  // words 0 and 4, 1 and 5, ... of rows 0 to 3, then of rows 4 to 7
    unrolled<2>([&](auto i) XLENS_INLINE {
        unrolled<2>([&](auto j) XLENS_INLINE {
            const __m256i a = pairs[4 * i + j];
            const __m256i b = pairs[4 * i + 2 + j];
            fours[4 * i + 2 * j] = _mm256_unpacklo_epi64(a, b);
            fours[4 * i + 2 * j + 1] = _mm256_unpackhi_epi64(a, b);
        });
    });
    unrolled<4>([&](auto i) XLENS_INLINE {
        x[i] = _mm256_permute2x128_si256(fours[i], fours[4 + i], 0x20);
        x[4 + i] = _mm256_permute2x128_si256(fours[i], fours[4 + i], 0x31);
    });
}

/// Rows that have been taken apart, turned. Blocks stand as those of inputs do: of each, 8 steps
/// of four codes, and of each step two registers.
template <product_kind kind>
class code_tile {
public:
    using tile = tile_of<kind>;

    code_tile(const input_layout& layout, std::size_t blocks, std::int8_t* codes, float* floats)
        : m_layout(layout), m_blocks(blocks), m_codes(codes), m_floats(floats) {}

    /// Room for a tile, in floats.
    static std::size_t floats_of(std::size_t blocks) {
        return blocks * (tile::codes_a_block / sizeof(float) + tile::floats_a_block);
    }

    /// Puts 8 rows where those from `first` on are.
    void put(const apart_rows& rows, std::size_t first) {
        for (std::size_t step = 0; step < m_layout.steps(); ++step) {
            for (std::size_t part = 0; part < 8; ++part) { put_codes(rows, first, step, part); }
            for (std::size_t k = 0; k < kind.floats(); ++k) { put_floats(rows, first, step, k); }
        }
    }

    [[nodiscard]] const std::int8_t* codes() const { return m_codes; }
    [[nodiscard]] const float* floats() const { return m_floats; }
    [[nodiscard]] const input_layout& layout() const { return m_layout; }

private:
    template <class Row>
    [[gnu::always_inline]] static inline void turn(__m256i (&x)[8], Row row) {
        unrolled<8>([&](auto r) XLENS_INLINE {
            x[r] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row(std::size_t{r})));
        });
        transpose_words(x);
    }
    /// 32 bytes of each row, as code_lanes has them: 16 of one block, 16 of another.
    void put_codes(const apart_rows& rows, std::size_t first, std::size_t step, std::size_t part) {
        constexpr auto& order = input_layout::block_in_register;
        const std::size_t block[2] = {8 * step + part / 4 * 4 + order[part % 2 * 2],
                                      8 * step + part / 4 * 4 + order[part % 2 * 2 + 1]};
        __m256i x[8];
        turn(x, [&](std::size_t r) XLENS_INLINE {
            return rows[r].codes + step * apart_row::codes_a_step + part * 32;
        });
        unrolled<2>([&](auto i) XLENS_INLINE {
            if (block[i] >= m_blocks) { return; }
            std::int8_t* to = m_codes + m_layout.place(block[i]) * tile::codes_a_block +
                              part / 2 % 2 * (tile::codes_a_block / 2);
            unrolled<4>([&](auto d) XLENS_INLINE {
                put_registers(x[4 * i + d], to + std::size_t{d} * tile::codes_a_step, first);
            });
        });
    }
    [[gnu::always_inline]] static void put_registers(__m256i x, std::int8_t* to,
                                                     std::size_t first) {
        auto* both = reinterpret_cast<__m256i*>(to);
        if constexpr (in_planes(kind)) {
            const __m256i u = _mm256_xor_si256(x, _mm256_set1_epi8(static_cast<char>(0x80)));
            _mm256_storeu_si256(both, low_nibbles(u));
            _mm256_storeu_si256(both + 1, high_nibbles(u));
        } else if constexpr (kind.has_sign()) {
            _mm256_storeu_si256(both + first / 8,
                                _mm256_xor_si256(x, _mm256_set1_epi8(static_cast<char>(0x80))));
        } else {
            _mm256_storeu_si256(both + first / 8, x);
        }
    }
    /// Float k of the blocks of a step.
    void put_floats(const apart_rows& rows, std::size_t first, std::size_t step, std::size_t k) {
        __m256i x[8];
        turn(x, [&](std::size_t r) XLENS_INLINE {
            return rows[r].floats + step * apart_row::floats_a_step(kind) + 8 * k;
        });
        unrolled<8>([&](auto lane) XLENS_INLINE {
            const std::size_t block = 8 * step + input_layout::block_of[lane];
            if (block >= m_blocks) { return; }
            float* to =
                m_floats + m_layout.place(block) * tile::floats_a_block + k * tile::rows + first;
            _mm256_storeu_ps(to, _mm256_castsi256_ps(x[lane]));
        });
    }

    const input_layout& m_layout;
    std::size_t m_blocks;
    std::int8_t* m_codes;
    float* m_floats;
};

}  // namespace xlens::kernels::detail

#endif
