// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/formats/floats.hpp>
#include <xlens/storage/formats/grid_of_one_bit.hpp>
#include <xlens/storage/formats/grids.hpp>
#include <xlens/storage/formats/rare.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

// GGUF's i-quants of less than two bits: 256 elements a block, eight of which are a point of a grid
// of -1, 0 and 1, shifted by an eighth up or down: (d·(2s + 1))·(point ± 1/8), exact in a float.
// Layouts: ggml-common.h and gguf-py/gguf/quants.py of llama.cpp.

namespace xlens {

namespace detail {

inline void put_iq1_point(std::uint32_t index, float scale, bool down, float* out) {
    const std::uint32_t point = grid_point(iq1_grid, index);
    const float shift = down ? -0.125F : 0.125F;
    for (std::size_t i = 0; i < 8; ++i) {
        const auto u = static_cast<float>((point >> (2 * i)) & 0x03U);
        out[i] = scale * ((u - 1.0F) + shift);
    }
}

}  // namespace detail

/// Groups of 32: the low bytes of four points in one place; in another, 16 bits: four times their
/// three high bits, s, and the sign of the shift.
struct iq1_s : rare_format<iq1_s> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 32 + 16;
    static constexpr std::string_view name = "iq1_s";

    static void decode(const std::byte* src, float* out) {
        const float d = load_half(src);
        for (std::size_t i = 0; i < 32; ++i) {
            const std::uint32_t rest = load_unaligned<std::uint16_t>(src + 34 + 2 * (i / 4));
            const auto low = static_cast<std::uint32_t>(src[2 + i]);
            const std::uint32_t high = (rest >> (3 * (i % 4))) & 0x07U;
            const auto s = static_cast<float>(2U * ((rest >> 12U) & 0x07U) + 1U);
            detail::put_iq1_point(low | high << 8U, d * s, (rest & 0x8000U) != 0, out + 8 * i);
        }
    }
};

/// For 8 elements a byte and a nibble: three high bits of the point and the sign of the shift. Four
/// words of 16 bits hold s of four groups of 16 each, three bits, and a nibble of d on top.
struct iq1_m : rare_format<iq1_m> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 32 + 16 + 8;
    static constexpr std::string_view name = "iq1_m";

    static void decode(const std::byte* src, float* out) {
        const auto word = [src](std::size_t i) {
            return std::uint32_t{load_unaligned<std::uint16_t>(src + 48 + 2 * i)};
        };
        std::uint32_t half = 0;
        for (std::size_t i = 0; i < 4; ++i) { half |= (word(i) >> 12U) << (4 * i); }
        const float d = half_to_float(static_cast<std::uint16_t>(half));
        for (std::size_t i = 0; i < 32; ++i) {
            const auto low = static_cast<std::uint32_t>(src[i]);
            const auto rest = static_cast<std::uint32_t>(src[32 + i / 2]) >> (i % 2 * 4);
            const auto s = static_cast<float>(2U * ((word(i / 8) >> (i / 2 % 4 * 3)) & 0x07U) + 1U);
            detail::put_iq1_point(low | (rest & 0x07U) << 8U, d * s, (rest & 0x08U) != 0,
                                  out + 8 * i);
        }
    }
};

}  // namespace xlens
