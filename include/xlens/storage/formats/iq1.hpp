// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/formats/floats.hpp>
#include <xlens/storage/formats/grid_of_one_bit.hpp>
#include <xlens/storage/formats/grids.hpp>
#include <xlens/storage/formats/iq.hpp>
#include <xlens/storage/formats/rare.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

// GGUF's i-quants of less than two bits: 256 elements a block, eight of which are a point of a grid
// of -1, 0 and 1, shifted by an eighth up or down: (d·(2s + 1))·(point ± 1/8), exact in a float.
// Layouts: ggml-common.h and gguf-py/gguf/quants.py of llama.cpp.

namespace xlens {

namespace detail {

/// Eight times the points of iq1_grid, a byte an element.
inline const std::array<std::uint64_t, 2048>& iq1_points() {
    static const auto points = unpacked_points<std::uint64_t>(
        iq1_grid, std::array<std::uint8_t, 4>{0xF8, 0, 8, 0});  // -8, 0, 8; 3 is in none
    return points;
}
/// 8·(point ± 1/8): one more, or less, in each byte.
inline void put_iq1_point(std::uint64_t point, bool down, std::int8_t* to) {
    std::array<std::int8_t, 8> codes;
    std::memcpy(codes.data(), &point, sizeof point);
    for (std::int8_t& code : codes) { code = static_cast<std::int8_t>(code + (down ? -1 : 1)); }
    std::memcpy(to, codes.data(), sizeof codes);
}

}  // namespace detail

/// Groups of 32: the low bytes of four points in one place; in another, 16 bits: four times their
/// three high bits, s, and the sign of the shift.
struct iq1_s : rare_format<iq1_s> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 32 + 16;
    static constexpr std::string_view name = "iq1_s";

    static void unpack(const std::byte* src, unpacked_block<block>& out) {
        const auto& points = detail::iq1_points();
        const float d = load_half(src) * 0.125F;
        for (std::size_t g = 0; g < 8; ++g) {
            const std::uint32_t rest = load_unaligned<std::uint16_t>(src + 34 + 2 * g);
            const float scale = d * static_cast<float>(2U * ((rest >> 12U) & 0x07U) + 1U);
            out.scales[2 * g] = scale;
            out.scales[2 * g + 1] = scale;
            for (std::size_t i = 0; i < 4; ++i) {
                const std::uint32_t high = (rest >> (3 * i)) & 0x07U;
                const std::uint32_t index = detail::byte_at(src, 2 + 4 * g + i) | high << 8U;
                detail::put_iq1_point(points[index], (rest & 0x8000U) != 0,
                                      &out.codes[32 * g + 8 * i]);
            }
        }
    }
};

/// For 8 elements a byte and a nibble: three high bits of the point and the sign of the shift. Four
/// words of 16 bits hold s of four groups of 16 each, three bits, and a nibble of d on top.
struct iq1_m : rare_format<iq1_m> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 32 + 16 + 8;
    static constexpr std::string_view name = "iq1_m";

    static void unpack(const std::byte* src, unpacked_block<block>& out) {
        const auto& points = detail::iq1_points();
        const auto word = [src](std::size_t i) {
            return std::uint32_t{load_unaligned<std::uint16_t>(src + 48 + 2 * i)};
        };
        std::uint32_t half = 0;
        for (std::size_t i = 0; i < 4; ++i) { half |= (word(i) >> 12U) << (4 * i); }
        const float d = half_to_float(static_cast<std::uint16_t>(half)) * 0.125F;
        for (std::size_t g = 0; g < 16; ++g) {
            const std::uint32_t s = (word(g / 4) >> (g % 4 * 3)) & 0x07U;
            out.scales[g] = d * static_cast<float>(2U * s + 1U);
        }
        for (std::size_t i = 0; i < 32; ++i) {
            const std::uint32_t rest = detail::nibble_at(src + 32, i);
            const std::uint32_t index = detail::byte_at(src, i) | (rest & 0x07U) << 8U;
            detail::put_iq1_point(points[index], (rest & 0x08U) != 0, &out.codes[8 * i]);
        }
    }
};

}  // namespace xlens
