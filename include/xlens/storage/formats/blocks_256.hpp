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
    const auto packed = copy_bytes<12>(src);
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

/// Batches of 32 elements.
inline constexpr std::size_t batches_of_32 = 32 / lanes;

/// The 32 bytes at src, one a lane.
inline std::array<word_lanes, batches_of_32> load_32_bytes(const std::byte* src) {
    std::array<word_lanes, batches_of_32> out;
    for (std::size_t k = 0; k < batches_of_32; ++k) { out[k] = load_bytes(src + k * lanes); }
    return out;
}

/// A q4_k or q5_k block: calls sink(k, (d·s)·q - (dmin·m)) for its batches, q being the nibbles at
/// `low` with `high(g, k)` on top in batch k of group g. 32 bytes hold two groups: the low nibbles,
/// then the high ones.
template <class High, class Sink>
[[gnu::always_inline]] inline void each_grouped(const std::byte* src, const std::byte* low,
                                                High high, Sink sink) {
    const float d = load_half(src);
    const float d_min = load_half(src + 2);
    const group_scales groups = unpack_group_scales(src + 4);
    for (std::size_t pair = 0; pair < 8; pair += 2) {
        const auto packed = load_32_bytes(low + 16 * pair);
        for (std::size_t g = pair; g < pair + 2; ++g) {
            const batch scale(d * static_cast<float>(groups.scale[g]));
            const batch minimum(d_min * static_cast<float>(groups.minimum[g]));
            for (std::size_t k = 0; k < batches_of_32; ++k) {
                const word_lanes nibble = g == pair ? packed[k] & 0x0FU : packed[k] >> 4U;
                sink(g * batches_of_32 + k,
                     xsimd::fms(to_floats(nibble | high(g, k)), scale, minimum));
            }
        }
    }
}

}  // namespace detail

/// (d·s)·q - (dmin·m), q in [0, 15]; s and m of each group of 32 in [0, 63].
struct q4_k {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 2 + 12 + 128;
    static constexpr std::string_view name = "q4_k";

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        detail::each_grouped(
            src, src + 16, [](std::size_t, std::size_t) XLENS_INLINE { return word_lanes{}; },
            sink);
    }
};

/// (d·s)·q - (dmin·m), q in [0, 31]; s and m of each group of 32 in [0, 63].
struct q5_k {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 2 + 12 + 32 + 128;
    static constexpr std::string_view name = "q5_k";

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        // Bit g of byte i is the fifth bit of element i of group g.
        const auto fifths = detail::load_32_bytes(src + 16);
        const auto high = [&](std::size_t g, std::size_t k) XLENS_INLINE {
            return ((fifths[k] >> static_cast<std::uint32_t>(g)) & 1U) << 4U;
        };
        detail::each_grouped(src, src + 48, high, sink);
    }
};

/// (d·s)·(q - 32), q in [0, 63]; s of each group of 16 in [-128, 127].
struct q6_k {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 128 + 64 + 16 + 2;
    static constexpr std::string_view name = "q6_k";

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        const float d = load_half(src + 208);
        // Half a block is four runs of 32. Runs 0 and 1 have their low four bits in the low nibbles
        // of 32 bytes each, runs 2 and 3 in the high ones; bits 2·run and 2·run + 1 of a byte of
        // `high` are on top.
        for (std::size_t run = 0; run < 8; ++run) {
            const std::size_t half = run / 4;
            const auto low = detail::load_32_bytes(src + 64 * half + run % 2 * 32);
            const auto high = detail::load_32_bytes(src + 128 + 32 * half);
            const auto low_shift = static_cast<std::uint32_t>(run % 4 / 2 * 4);
            const auto high_shift = static_cast<std::uint32_t>(run % 4 * 2);
            for (std::size_t k = 0; k < detail::batches_of_32; ++k) {
                const word_lanes q =
                    ((low[k] >> low_shift) & 0x0FU) | (((high[k] >> high_shift) & 0x03U) << 4U);
                const auto scale =
                    load_unaligned<std::int8_t>(src + 192 + 2 * run + k * lanes / 16);
                sink(run * detail::batches_of_32 + k,
                     to_floats(q - 32U) * batch(d * static_cast<float>(scale)));
            }
        }
    }
};

}  // namespace xlens
