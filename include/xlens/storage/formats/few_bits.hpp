// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/formats/floats.hpp>
#include <xlens/storage/formats/lookups.hpp>
#include <xlens/storage/formats/rare.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

// GGUF's ternary formats and NVFP4. Layouts: ggml-common.h and gguf-py/gguf/quants.py of llama.cpp.

namespace xlens {

namespace detail {

/// Digit n of five ternary digits in a byte, which is ⌈256·x/243⌉ for x = Σ digit·3^(4 - n): the
/// digit stands above the point of byte/256·3^n.
[[nodiscard]] constexpr std::int8_t ternary_digit(std::byte packed, std::size_t n) {
    constexpr std::array<std::uint32_t, 5> powers{1, 3, 9, 27, 81};
    const std::uint32_t fraction = (static_cast<std::uint32_t>(packed) * powers[n]) & 0xFFU;
    return static_cast<std::int8_t>(static_cast<int>((fraction * 3U) >> 8U) - 1);
}

/// Half of the scale of NVFP4: E4M3 without a sign, whose seven ones are no number but 0 here.
[[nodiscard]] constexpr float half_of_ue4m3(std::uint32_t x) {
    if (x == 0 || x == 0x7FU) { return 0.0F; }
    const std::uint32_t exponent = (x >> 3U) & 0x0FU;
    const auto fraction = static_cast<float>(x & 0x07U);
    if (exponent == 0) { return fraction * 0x1p-10F; }
    const float power = std::bit_cast<float>((exponent + 127U - 8U) << 23U);
    return (1.0F + fraction / 8.0F) * power;
}

}  // namespace detail

/// d·t, t in -1, 0, 1: five to a byte for 240 elements, four for the last 16.
struct tq1_0 : rare_format<tq1_0> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 48 + 4 + 2;
    static constexpr std::string_view name = "tq1_0";

    static void unpack(const std::byte* src, unpacked_block<block>& out) {
        out.scales.fill(load_half(src + 52));
        std::int8_t* to = out.codes.data();
        const auto digits = [&](std::size_t from, std::size_t count, std::size_t digits_of_each) {
            for (std::size_t n = 0; n < digits_of_each; ++n) {
                for (std::size_t i = 0; i < count; ++i) {
                    *to++ = detail::ternary_digit(src[from + i], n);
                }
            }
        };
        digits(0, 32, 5);
        digits(32, 16, 5);
        digits(48, 4, 4);
    }
};

/// d·(q - 1), q in [0, 3]: of 128 elements, i, i + 32, i + 64 and i + 96 share a byte.
struct tq2_0 : rare_format<tq2_0> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 64 + 2;
    static constexpr std::string_view name = "tq2_0";

    static void unpack(const std::byte* src, unpacked_block<block>& out) {
        out.scales.fill(load_half(src + 64));
        for (std::size_t run = 0; run < 8; ++run) {
            const std::byte* from = src + run / 4 * 32;
            for (std::size_t i = 0; i < 32; ++i) {
                const auto packed = static_cast<unsigned>(from[i]);
                const auto q = static_cast<int>((packed >> (run % 4 * 2)) & 0x03U);
                out.codes[32 * run + i] = static_cast<std::int8_t>(q - 1);
            }
        }
    }
};

/// s·v, v of E2M1, s of 16 elements of E4M3 (elements i and i + 8 of them share a byte). A second
/// scale for the whole tensor is another tensor's: which files with one are refused for.
struct nvfp4 : rare_format<nvfp4> {
    static constexpr std::size_t block = 64;
    static constexpr std::size_t bytes = 4 + 32;
    static constexpr std::string_view name = "nvfp4";

    static void unpack(const std::byte* src, unpacked_block<block>& out) {
        for (std::size_t g = 0; g < 4; ++g) {
            out.scales[g] = detail::half_of_ue4m3(static_cast<std::uint32_t>(src[g]));
            for (std::size_t i = 0; i < 8; ++i) {
                const auto packed = static_cast<std::uint32_t>(src[4 + 8 * g + i]);
                out.codes[16 * g + i] = detail::e2m1_codes[packed & 0x0FU];
                out.codes[16 * g + 8 + i] = detail::e2m1_codes[packed >> 4U];
            }
        }
    }
};

}  // namespace xlens
