// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/formats/floats.hpp>
#include <xlens/storage/formats/grids.hpp>
#include <xlens/storage/formats/rare.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

// GGUF's i-quants of two and three bits: 256 elements a block, eight (four) of which are a point of
// a grid, with a sign each, under a scale d·s of 16 or 32 elements. d·s·point is exact in a float.
// Layouts: ggml-common.h and gguf-py/gguf/quants.py of llama.cpp.

namespace xlens {

namespace detail {

[[nodiscard]] inline std::uint32_t byte_at(const std::byte* src, std::size_t i) {
    return static_cast<std::uint32_t>(src[i]);
}
/// Nibble i of the bytes at src, the low one of a byte first.
[[nodiscard]] inline std::uint32_t nibble_at(const std::byte* src, std::size_t i) {
    return (byte_at(src, i / 2) >> (i % 2 * 4)) & 0x0FU;
}
/// Seven signs, of which the eighth follows: an even number are set.
[[nodiscard]] constexpr std::uint32_t eight_signs(std::uint32_t seven) {
    return seven | (static_cast<std::uint32_t>(std::popcount(seven)) & 1U) << 7U;
}

inline constexpr std::array<float, 4> iq2_values{8.0F, 25.0F, 43.0F, 0.0F};  // 3 is in no grid
inline constexpr std::array<float, 8> iq3_xxs_values{4.0F,  12.0F, 20.0F, 28.0F,
                                                     36.0F, 44.0F, 52.0F, 62.0F};
inline constexpr std::array<float, 8> iq3_s_values{1.0F, 3.0F,  5.0F,  7.0F,
                                                   9.0F, 11.0F, 13.0F, 15.0F};

/// out = scale·value of the `elements` numbers of a point, negative where bit i of `signs` is set.
template <std::size_t elements, std::size_t count>
void put_point(std::uint32_t point, const std::array<float, count>& values, float scale,
               std::uint32_t signs, float* out) {
    constexpr std::uint32_t bits = 16 / elements;
    for (std::size_t i = 0; i < elements; ++i) {
        const float value = scale * values[(point >> (bits * i)) & (count - 1)];
        out[i] = value * (((signs >> i) & 1U) != 0 ? -1.0F : 1.0F);
    }
}

}  // namespace detail

/// (d·(s + 1/2)/4)·point. Groups of 32: four bytes of points of 8, then four times seven signs with
/// s on top.
struct iq2_xxs : rare_format<iq2_xxs> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 64;
    static constexpr std::string_view name = "iq2_xxs";

    static void decode(const std::byte* src, float* out) {
        const float d = load_half(src);
        for (std::size_t g = 0; g < 8; ++g) {
            const std::byte* points = src + 2 + 8 * g;
            const auto rest = load_unaligned<std::uint32_t>(points + 4);
            const float scale = d * (0.5F + static_cast<float>(rest >> 28U)) * 0.25F;
            for (std::size_t i = 0; i < 4; ++i) {
                const auto point =
                    detail::grid_point(detail::iq2_xxs_grid, detail::byte_at(points, i));
                const std::uint32_t signs = detail::eight_signs((rest >> (7 * i)) & 0x7FU);
                detail::put_point<8>(point, detail::iq2_values, scale, signs, out + 32 * g + 8 * i);
            }
        }
    }
};

/// (d·(s + 1/2)/4)·point: nine bits of point and seven signs for 8 elements, s of 16 a nibble.
struct iq2_xs : rare_format<iq2_xs> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 64 + 8;
    static constexpr std::string_view name = "iq2_xs";

    static void decode(const std::byte* src, float* out) {
        const float d = load_half(src);
        for (std::size_t i = 0; i < 32; ++i) {
            const std::uint32_t code = load_unaligned<std::uint16_t>(src + 2 + 2 * i);
            const auto s = static_cast<float>(detail::nibble_at(src + 66, i / 2));
            detail::put_point<8>(detail::grid_point(detail::iq2_xs_grid, code & 0x1FFU),
                                 detail::iq2_values, d * (0.5F + s) * 0.25F,
                                 detail::eight_signs(code >> 9U), out + 8 * i);
        }
    }
};

/// (d·(s + 1/2)/4)·point: ten bits of point, eight of them in a byte and two in another, and eight
/// signs for 8 elements; s of 16 a nibble.
struct iq2_s : rare_format<iq2_s> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 32 + 32 + 8 + 8;
    static constexpr std::string_view name = "iq2_s";

    static void decode(const std::byte* src, float* out) {
        const float d = load_half(src);
        for (std::size_t i = 0; i < 32; ++i) {
            const std::uint32_t high = (detail::byte_at(src, 66 + i / 4) >> (i % 4 * 2)) & 0x03U;
            const std::uint32_t index = detail::byte_at(src, 2 + i) | high << 8U;
            const auto s = static_cast<float>(detail::nibble_at(src + 74, i / 2));
            detail::put_point<8>(detail::grid_point(detail::iq2_s_grid, index), detail::iq2_values,
                                 d * (0.5F + s) * 0.25F, detail::byte_at(src, 34 + i), out + 8 * i);
        }
    }
};

/// (d·(s + 1/2)/2)·point: a byte for 4 elements; then for 32, four times seven signs with s on top.
struct iq3_xxs : rare_format<iq3_xxs> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 64 + 32;
    static constexpr std::string_view name = "iq3_xxs";

    static void decode(const std::byte* src, float* out) {
        const float d = load_half(src);
        for (std::size_t i = 0; i < 64; ++i) {
            const auto rest = load_unaligned<std::uint32_t>(src + 66 + 4 * (i / 8));
            const float scale = d * (0.5F + static_cast<float>(rest >> 28U)) * 0.5F;
            const auto signs = detail::eight_signs((rest >> (i % 8 / 2 * 7)) & 0x7FU);
            detail::put_point<4>(
                detail::grid_point(detail::iq3_xxs_grid, detail::byte_at(src, 2 + i)),
                detail::iq3_xxs_values, scale, signs >> (i % 2 * 4), out + 4 * i);
        }
    }
};

/// (d·(2s + 1))·point: nine bits of point for 4 elements, eight of them in a byte, the ninth a bit
/// of another; a sign each; s of 32 a nibble.
struct iq3_s : rare_format<iq3_s> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 64 + 8 + 32 + 4;
    static constexpr std::string_view name = "iq3_s";

    static void decode(const std::byte* src, float* out) {
        const float d = load_half(src);
        for (std::size_t i = 0; i < 64; ++i) {
            const std::uint32_t ninth = (detail::byte_at(src, 66 + i / 8) >> (i % 8)) & 1U;
            const std::uint32_t index = detail::byte_at(src, 2 + i) | ninth << 8U;
            const std::uint32_t s = detail::nibble_at(src + 106, i / 8);
            detail::put_point<4>(detail::grid_point(detail::iq3_s_grid, index),
                                 detail::iq3_s_values, d * static_cast<float>(1U + 2U * s),
                                 detail::nibble_at(src + 74, i), out + 4 * i);
        }
    }
};

}  // namespace xlens
