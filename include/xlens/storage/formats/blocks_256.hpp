// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/formats/blocks_32.hpp>
#include <xlens/storage/formats/floats.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

// GGUF's "K-quants": 256 elements a block, in groups that have small integer scales of their own
// under one binary16 scale a block. As in blocks_32.hpp every product is exact in a float.
// Layouts: ggml-common.h and gguf-py/gguf/quants.py of llama.cpp.

namespace xlens {

namespace detail {

/// The scales and minima of the eight groups of a q4_k or q5_k block, six bits each.
struct group_scales {
    std::array<std::uint8_t, 8> scale;
    std::array<std::uint8_t, 8> minimum;
};

/// Groups 0-3 sit in the low six bits of bytes 0-3 (scales) and 4-7 (minima). Groups 4-7 have their
/// low four bits in the nibbles of bytes 8-11, their high two bits on top of bytes 0-7.
[[nodiscard]] inline group_scales unpack_group_scales(const std::byte* src) {
    const auto packed = load_bytes<12>(src);
    group_scales out;
    for (std::size_t i = 0; i < 4; ++i) {
        const std::uint32_t scale = packed[i];
        const std::uint32_t minimum = packed[i + 4];
        const std::uint32_t low = packed[i + 8];
        out.scale[i] = static_cast<std::uint8_t>(scale & 0x3FU);
        out.minimum[i] = static_cast<std::uint8_t>(minimum & 0x3FU);
        out.scale[i + 4] = static_cast<std::uint8_t>((low & 0x0FU) | ((scale >> 6U) << 4U));
        out.minimum[i + 4] = static_cast<std::uint8_t>((low >> 4U) | ((minimum >> 6U) << 4U));
    }
    return out;
}

}  // namespace detail

/// (d·s)·q - (dmin·m), q in [0, 15]; s and m of each group of 32 in [0, 63].
struct q4_k {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 2 + 12 + 128;
    static constexpr std::string_view name = "q4_k";

    static void decode(const std::byte* src, float* out) {
        const float d = load_half(src);
        const float d_min = load_half(src + 2);
        const auto groups = detail::unpack_group_scales(src + 4);
        // 32 bytes hold two groups: the low nibbles, then the high ones.
        for (std::size_t g = 0; g < 8; g += 2, out += 64) {
            const auto packed = detail::load_bytes<32>(src + 16 + 16 * g);
            const float d0 = d * static_cast<float>(groups.scale[g]);
            const float d1 = d * static_cast<float>(groups.scale[g + 1]);
            const float m0 = d_min * static_cast<float>(groups.minimum[g]);
            const float m1 = d_min * static_cast<float>(groups.minimum[g + 1]);
            for (std::size_t i = 0; i < 32; ++i) {
                out[i] = d0 * static_cast<float>(packed[i] & 0x0F) - m0;
            }
            for (std::size_t i = 0; i < 32; ++i) {
                out[i + 32] = d1 * static_cast<float>(packed[i] >> 4) - m1;
            }
        }
    }
};

/// (d·s)·q - (dmin·m), q in [0, 31]; s and m of each group of 32 in [0, 63].
struct q5_k {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 2 + 12 + 32 + 128;
    static constexpr std::string_view name = "q5_k";

    static void decode(const std::byte* src, float* out) {
        const float d = load_half(src);
        const float d_min = load_half(src + 2);
        const auto groups = detail::unpack_group_scales(src + 4);
        // Bit g of byte i is the fifth bit of element i of group g.
        const auto high = detail::load_bytes<32>(src + 16);
        for (std::size_t g = 0; g < 8; g += 2, out += 64) {
            const auto packed = detail::load_bytes<32>(src + 48 + 16 * g);
            const float d0 = d * static_cast<float>(groups.scale[g]);
            const float d1 = d * static_cast<float>(groups.scale[g + 1]);
            const float m0 = d_min * static_cast<float>(groups.minimum[g]);
            const float m1 = d_min * static_cast<float>(groups.minimum[g + 1]);
            for (std::size_t i = 0; i < 32; ++i) {
                const int q = (packed[i] & 0x0F) | (((high[i] >> g) & 1) << 4);
                out[i] = d0 * static_cast<float>(q) - m0;
            }
            for (std::size_t i = 0; i < 32; ++i) {
                const int q = (packed[i] >> 4) | (((high[i] >> (g + 1)) & 1) << 4);
                out[i + 32] = d1 * static_cast<float>(q) - m1;
            }
        }
    }
};

/// (d·s)·(q - 32), q in [0, 63]; s of each group of 16 in [-128, 127].
struct q6_k {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 128 + 64 + 16 + 2;
    static constexpr std::string_view name = "q6_k";

    static void decode(const std::byte* src, float* out) {
        const float d = load_half(src + 208);
        std::array<std::int8_t, 16> scales;
        std::memcpy(scales.data(), src + 192, scales.size());
        std::array<float, 16> group;
        for (std::size_t g = 0; g < 16; ++g) { group[g] = d * static_cast<float>(scales[g]); }
        for (std::size_t half = 0; half < 2; ++half, out += 128) {
            const std::byte* low = src + 64 * half;
            const std::byte* high = src + 128 + 32 * half;
            const float* scale = group.data() + 8 * half;
            decode_run<0>(low, high, scale, out);
            decode_run<1>(low + 32, high, scale + 2, out + 32);
            decode_run<2>(low, high, scale + 4, out + 64);
            decode_run<3>(low + 32, high, scale + 6, out + 96);
        }
    }

private:
    /// One of the four runs of 32 elements of half a block. Runs 0 and 1 have their low four bits in
    /// the low nibbles of 32 bytes each, runs 2 and 3 in the high ones; bits 2·run and 2·run + 1 of
    /// a byte of `high` are on top. A template, because g++ vectorises shifts by constants best.
    template <unsigned run>
    static void decode_run(const std::byte* low, const std::byte* high, const float* scale,
                           float* out) {
        const auto low_bits = detail::load_bytes<32>(low);
        const auto high_bits = detail::load_bytes<32>(high);
        std::array<std::int8_t, 32> q;
        for (std::size_t i = 0; i < 32; ++i) {
            const int low_four = (low_bits[i] >> (run / 2 * 4)) & 0x0F;
            const int high_two = (high_bits[i] >> (2 * run)) & 0x03;
            q[i] = static_cast<std::int8_t>((low_four | (high_two << 4)) - 32);
        }
        // Not unrolled, as in decode_nibbles.
        const float scale0 = scale[0];
        const float scale1 = scale[1];
#pragma GCC unroll 1
        for (std::size_t i = 0; i < 16; ++i) { out[i] = scale0 * static_cast<float>(q[i]); }
#pragma GCC unroll 1
        for (std::size_t i = 16; i < 32; ++i) { out[i] = scale1 * static_cast<float>(q[i]); }
    }
};

}  // namespace xlens
