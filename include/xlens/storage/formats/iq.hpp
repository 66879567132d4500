// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/formats/floats.hpp>
#include <xlens/storage/formats/grids.hpp>
#include <xlens/storage/formats/rare.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
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

/// The points of a grid with a byte an element.
template <class Point, std::size_t words, std::size_t count>
std::array<Point, 4 * words> unpacked_points(const std::array<std::uint64_t, words>& grid,
                                             const std::array<std::uint8_t, count>& values) {
    constexpr std::size_t elements = sizeof(Point);
    std::array<Point, 4 * words> out{};
    for (std::size_t p = 0; p < out.size(); ++p) {
        for (std::size_t i = 0; i < elements; ++i) {
            const std::uint32_t code = (grid_point(grid, p) >> (16 / elements * i)) & (count - 1);
            out[p] |= static_cast<Point>(static_cast<Point>(values[code]) << (8 * i));
        }
    }
    return out;
}
inline constexpr std::array<std::uint8_t, 4> iq2_values{8, 25, 43, 0};  // 3 is in no grid
inline constexpr std::array<std::uint8_t, 8> iq3_xxs_values{4, 12, 20, 28, 36, 44, 52, 62};
inline constexpr std::array<std::uint8_t, 8> iq3_s_values{1, 3, 5, 7, 9, 11, 13, 15};

/// The eight bytes at `points`, none of them 0, negative where bit i of `signs` is set.
[[nodiscard]] constexpr std::uint64_t with_signs(std::uint64_t points, std::uint32_t signs) {
    constexpr std::uint64_t ones = 0x0101010101010101U;
    // Bit i of `signs` in byte i, then a one in each byte that is not 0.
    const std::uint64_t bits = ((signs & 0xFFU) * ones) & 0x8040201008040201U;
    const std::uint64_t negative = (((bits & (0x7FU * ones)) + 0x7FU * ones) | bits) >> 7U & ones;
    return (points ^ (negative * 0xFFU)) + negative;
}
inline void put_codes(std::uint64_t eight, std::int8_t* to) {
    std::memcpy(to, &eight, sizeof eight);
}

}  // namespace detail

/// (d·(s + 1/2)/4)·point. Groups of 32: four bytes of points of 8, then four times seven signs with
/// s on top.
struct iq2_xxs : rare_format<iq2_xxs> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 64;
    static constexpr std::string_view name = "iq2_xxs";

    static void unpack(const std::byte* src, unpacked_block<block>& out) {
        static const auto points =
            detail::unpacked_points<std::uint64_t>(detail::iq2_xxs_grid, detail::iq2_values);
        const float d = load_half(src);
        for (std::size_t g = 0; g < 8; ++g) {
            const std::byte* group = src + 2 + 8 * g;
            const auto rest = load_unaligned<std::uint32_t>(group + 4);
            const float scale = d * (0.5F + static_cast<float>(rest >> 28U)) * 0.25F;
            out.scales[2 * g] = scale;
            out.scales[2 * g + 1] = scale;
            for (std::size_t i = 0; i < 4; ++i) {
                const std::uint32_t signs = detail::eight_signs((rest >> (7 * i)) & 0x7FU);
                detail::put_codes(detail::with_signs(points[detail::byte_at(group, i)], signs),
                                  &out.codes[32 * g + 8 * i]);
            }
        }
    }
};

/// (d·(s + 1/2)/4)·point: nine bits of point and seven signs for 8 elements, s of 16 a nibble.
struct iq2_xs : rare_format<iq2_xs> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 64 + 8;
    static constexpr std::string_view name = "iq2_xs";

    static void unpack(const std::byte* src, unpacked_block<block>& out) {
        static const auto points =
            detail::unpacked_points<std::uint64_t>(detail::iq2_xs_grid, detail::iq2_values);
        const float d = load_half(src);
        for (std::size_t i = 0; i < 32; ++i) {
            const std::uint32_t code = load_unaligned<std::uint16_t>(src + 2 + 2 * i);
            detail::put_codes(
                detail::with_signs(points[code & 0x1FFU], detail::eight_signs(code >> 9U)),
                &out.codes[8 * i]);
        }
        for (std::size_t g = 0; g < 16; ++g) {
            const auto s = static_cast<float>(detail::nibble_at(src + 66, g));
            out.scales[g] = d * (0.5F + s) * 0.25F;
        }
    }
};

/// (d·(s + 1/2)/4)·point: ten bits of point, eight of them in a byte and two in another, and eight
/// signs for 8 elements; s of 16 a nibble.
struct iq2_s : rare_format<iq2_s> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 32 + 32 + 8 + 8;
    static constexpr std::string_view name = "iq2_s";

    static void unpack(const std::byte* src, unpacked_block<block>& out) {
        static const auto points =
            detail::unpacked_points<std::uint64_t>(detail::iq2_s_grid, detail::iq2_values);
        const float d = load_half(src);
        for (std::size_t i = 0; i < 32; ++i) {
            const std::uint32_t high = (detail::byte_at(src, 66 + i / 4) >> (i % 4 * 2)) & 0x03U;
            const std::uint32_t index = detail::byte_at(src, 2 + i) | high << 8U;
            detail::put_codes(detail::with_signs(points[index], detail::byte_at(src, 34 + i)),
                              &out.codes[8 * i]);
        }
        for (std::size_t g = 0; g < 16; ++g) {
            const auto s = static_cast<float>(detail::nibble_at(src + 74, g));
            out.scales[g] = d * (0.5F + s) * 0.25F;
        }
    }
};

/// (d·(s + 1/2)/2)·point: a byte for 4 elements; then for 32, four times seven signs with s on top.
struct iq3_xxs : rare_format<iq3_xxs> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 64 + 32;
    static constexpr std::string_view name = "iq3_xxs";

    static void unpack(const std::byte* src, unpacked_block<block>& out) {
        static const auto points =
            detail::unpacked_points<std::uint32_t>(detail::iq3_xxs_grid, detail::iq3_xxs_values);
        const float d = load_half(src);
        for (std::size_t g = 0; g < 8; ++g) {
            const auto rest = load_unaligned<std::uint32_t>(src + 66 + 4 * g);
            const float scale = d * (0.5F + static_cast<float>(rest >> 28U)) * 0.5F;
            out.scales[2 * g] = scale;
            out.scales[2 * g + 1] = scale;
            for (std::size_t i = 0; i < 4; ++i) {
                const std::byte* two = src + 2 + 8 * g + 2 * i;
                const std::uint64_t low = points[detail::byte_at(two, 0)];
                const std::uint64_t high = points[detail::byte_at(two, 1)];
                const std::uint32_t signs = detail::eight_signs((rest >> (7 * i)) & 0x7FU);
                detail::put_codes(detail::with_signs(low | high << 32U, signs),
                                  &out.codes[32 * g + 8 * i]);
            }
        }
    }
};

/// (d·(2s + 1))·point: nine bits of point for 4 elements, eight of them in a byte, the ninth a bit
/// of another; a sign each; s of 32 a nibble.
struct iq3_s : rare_format<iq3_s> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 64 + 8 + 32 + 4;
    static constexpr std::string_view name = "iq3_s";

    static void unpack(const std::byte* src, unpacked_block<block>& out) {
        static const auto points =
            detail::unpacked_points<std::uint32_t>(detail::iq3_s_grid, detail::iq3_s_values);
        const float d = load_half(src);
        const auto point = [&](std::size_t i) {
            const std::uint32_t ninth = (detail::byte_at(src, 66 + i / 8) >> (i % 8)) & 1U;
            return std::uint64_t{points[detail::byte_at(src, 2 + i) | ninth << 8U]};
        };
        for (std::size_t i = 0; i < 32; ++i) {
            const std::uint64_t eight = point(2 * i) | point(2 * i + 1) << 32U;
            detail::put_codes(detail::with_signs(eight, detail::byte_at(src, 74 + i)),
                              &out.codes[8 * i]);
        }
        for (std::size_t g = 0; g < 16; ++g) {
            const std::uint32_t s = detail::nibble_at(src + 106, g / 2);
            out.scales[g] = d * static_cast<float>(1U + 2U * s);
        }
    }
};

}  // namespace xlens
