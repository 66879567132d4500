// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/storage/formats/code_bytes.hpp>
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

/// d·s, then dmin·m, of the eight groups of a q4_k or q5_k block, six bits each: groups 0-3 sit in
/// the low six bits of bytes 0-3 (s) and 4-7 (m). Groups 4-7 have their low four bits in the
/// nibbles of bytes 8-11, their high two bits on top of bytes 0-7.
[[gnu::always_inline]] inline std::array<float, 16> unpack_group_scales(const std::byte* src) {
    const auto scale = load_unaligned<std::uint32_t>(src + 4);
    const auto minimum = load_unaligned<std::uint32_t>(src + 8);
    const auto low = load_unaligned<std::uint32_t>(src + 12);
    const auto on_top = [](std::uint32_t x) { return (x >> 2U) & 0x30303030U; };
    const std::array words{scale & 0x3F3F3F3FU, (low & 0x0F0F0F0FU) | on_top(scale),
                           minimum & 0x3F3F3F3FU, ((low >> 4U) & 0x0F0F0F0FU) | on_top(minimum)};
    return scaled_bytes(reinterpret_cast<const std::byte*>(words.data()), load_half(src),
                        load_half(src + 2));
}

}  // namespace detail

/// (d·s)·q - (dmin·m), q in [0, 3]; s and m of each group of 16 in [0, 15].
struct q2_k : detail::in_parts<q2_k> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 16 + 64 + 2 + 2;
    static constexpr std::string_view name = "q2_k";

    /// d·s, dmin·m of each group of 16, which has a byte: s in the low nibble, m in the high one.
    [[gnu::always_inline]] static std::array<std::array<float, 16>, 2> scales(
        const std::byte* src) {
        const auto nibbles = [src](unsigned shift, float d) XLENS_INLINE {
            std::array<std::uint64_t, 2> bytes;
            std::memcpy(bytes.data(), src, sizeof bytes);
            for (std::uint64_t& eight : bytes) { eight = (eight >> shift) & 0x0F0F0F0F0F0F0F0FU; }
            return detail::scaled_bytes(reinterpret_cast<const std::byte*>(bytes.data()), d, d);
        };
        return {nibbles(0, load_half(src + 80)), nibbles(4, load_half(src + 82))};
    }
    /// Half a block is four runs of 32, which share 32 bytes: bits 2·run and 2·run + 1.
    template <std::size_t run, class Sink>
    [[gnu::always_inline]] static void each_of_part(
        const std::byte* src, const std::array<std::array<float, 16>, 2>& scales, Sink sink) {
        const auto part = [&](std::size_t j) XLENS_INLINE {
            return detail::bits_of<run % 4 * 2>(detail::load_codes(src + 16 + run / 4 * 32, j), 3);
        };
        detail::each_code(part, [&](std::size_t k, const batch& q) XLENS_INLINE {
            const std::size_t group = 2 * run + k * lanes / 16;
            sink(k, multiply_subtract(q, batch(scales[0][group]), batch(scales[1][group])));
        });
    }
};

namespace detail {

/// d times the six-bit scales of the 16 groups of a q3_k block, in [-32, 31]: four low bits of
/// groups below 8 in the low nibbles of eight bytes, of the others in the high ones; then four
/// bytes of two high bits each, of groups i, i + 4, i + 8, i + 12.
[[gnu::always_inline]] inline std::array<float, 16> q3_k_scales(const std::byte* src, float d) {
    const auto high = load_unaligned<std::uint32_t>(src + 8);
    std::array<std::uint32_t, 4> words;
    for (std::size_t i = 0; i < 4; ++i) {
        const auto low = load_unaligned<std::uint32_t>(src + i % 2 * 4) >> (i / 2 * 4);
        const std::uint32_t both = (low & 0x0F0F0F0FU) | ((high >> (2 * i)) & 0x03030303U) << 4U;
        words[i] = ((both | 0x80808080U) - 0x20202020U) ^ 0x80808080U;  // each byte less 32
    }
    return scaled_bytes(reinterpret_cast<const std::byte*>(words.data()), d, d);
}

}  // namespace detail

/// (d·s)·(q - 4), q in [0, 7]; s of each group of 16 in [-32, 31].
struct q3_k : detail::in_parts<q3_k> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 32 + 64 + 12 + 2;
    static constexpr std::string_view name = "q3_k";

    [[gnu::always_inline]] static std::array<float, 16> scales(const std::byte* src) {
        return detail::q3_k_scales(src + 96, load_half(src + 108));
    }
    /// Bit `run` of byte i is the third bit of element i of a run of 32; below it as in q2_k.
    template <std::size_t run, class Sink>
    [[gnu::always_inline]] static void each_of_part(const std::byte* src,
                                                    const std::array<float, 16>& scales,
                                                    Sink sink) {
        const auto part = [&](std::size_t j) XLENS_INLINE {
            const auto low =
                detail::bits_of<run % 4 * 2>(detail::load_codes(src + 32 + run / 4 * 32, j), 3);
            const auto third =
                detail::bits_of<static_cast<int>(run) - 2>(detail::load_codes(src, j), 4);
            return (low | third) - std::uint8_t{4};
        };
        detail::each_code(part, [&](std::size_t k, const batch& q) XLENS_INLINE {
            sink(k, q * batch(scales[2 * run + k * lanes / 16]));
        });
    }
};

/// (d·s)·q - (dmin·m), q in [0, 15]; s and m of each group of 32 in [0, 63].
struct q4_k : detail::in_parts<q4_k> {
    static constexpr std::size_t parts = 4;
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 2 + 12 + 128;
    static constexpr std::string_view name = "q4_k";

    [[gnu::always_inline]] static std::array<float, 16> scales(const std::byte* src) {
        return detail::unpack_group_scales(src);
    }
    /// 32 bytes hold two groups: the low nibbles, then the high ones.
    template <std::size_t pair, class Sink>
    [[gnu::always_inline]] static void each_of_part(const std::byte* src,
                                                    const std::array<float, 16>& scales,
                                                    Sink sink) {
        constexpr std::size_t B = detail::batches_of_32;
        std::array<word_lanes, B> packed;
        unrolled<B>([&](auto k)
                        XLENS_INLINE { packed[k] = load_bytes(src + 16 + 32 * pair + k * lanes); });
        unrolled<2 * B>([&](auto k) XLENS_INLINE {
            constexpr std::size_t g = 2 * pair + k / B;
            const word_lanes q = k < B ? packed[k % B] & 0x0FU : packed[k % B] >> 4U;
            sink(k, multiply_subtract(to_floats(q), batch(scales[g]), batch(scales[8 + g])));
        });
    }
};

/// (d·s)·q - (dmin·m), q in [0, 31]; s and m of each group of 32 in [0, 63].
struct q5_k : detail::in_parts<q5_k> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 2 + 12 + 32 + 128;
    static constexpr std::string_view name = "q5_k";

    [[gnu::always_inline]] static std::array<float, 16> scales(const std::byte* src) {
        return detail::unpack_group_scales(src);
    }
    /// Groups as in q4_k; bit g of byte i at 16 is the fifth bit of element i of group g.
    template <std::size_t g, class Sink>
    [[gnu::always_inline]] static void each_of_part(const std::byte* src,
                                                    const std::array<float, 16>& scales,
                                                    Sink sink) {
        const auto part = [&](std::size_t j) XLENS_INLINE {
            const auto low = detail::load_codes(src + 48 + g / 2 * 32, j);
            const auto fifths = detail::load_codes(src + 16, j);
            return detail::bits_of<g % 2 * 4>(low, 0x0F) |
                   detail::bits_of<static_cast<int>(g) - 4>(fifths, 16);
        };
        detail::each_code(part, [&](std::size_t k, const batch& q) XLENS_INLINE {
            sink(k, multiply_subtract(q, batch(scales[g]), batch(scales[8 + g])));
        });
    }
};

/// (d·s)·(q - 32), q in [0, 63]; s of each group of 16 in [-128, 127].
struct q6_k : detail::in_parts<q6_k> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 128 + 64 + 16 + 2;
    static constexpr std::string_view name = "q6_k";

    [[gnu::always_inline]] static std::array<float, 16> scales(const std::byte* src) {
        const float d = load_half(src + 208);
        return detail::scaled_bytes(src + 192, d, d);
    }
    /// Half a block is four runs of 32. Runs 0 and 1 have their low four bits in the low nibbles of
    /// 32 bytes each, runs 2 and 3 in the high ones; bits 2·run and 2·run + 1 of a byte of `high`
    /// are on top.
    template <std::size_t run, class Sink>
    [[gnu::always_inline]] static void each_of_part(const std::byte* src,
                                                    const std::array<float, 16>& scales,
                                                    Sink sink) {
        constexpr int in_half = run % 4;
        const std::byte* low = src + run / 4 * 64 + run % 2 * 32;
        const std::byte* high = src + 128 + run / 4 * 32;
        const auto part = [&](std::size_t j) XLENS_INLINE {
            const auto four = detail::bits_of<in_half / 2 * 4>(detail::load_codes(low, j), 0x0F);
            const auto two = detail::bits_of<2 * in_half - 4>(detail::load_codes(high, j), 0x30);
            return (four | two) - std::uint8_t{32};
        };
        detail::each_code(part, [&](std::size_t k, const batch& q) XLENS_INLINE {
            sink(k, q * batch(scales[2 * run + k * lanes / 16]));
        });
    }
};

}  // namespace xlens
