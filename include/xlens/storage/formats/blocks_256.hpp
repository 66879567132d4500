// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
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

/// (d·s)·q - (dmin·m), q in [0, 3]; s and m of each group of 16 in [0, 15].
struct q2_k {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 16 + 64 + 2 + 2;
    static constexpr std::string_view name = "q2_k";

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        const float d = load_half(src + 80);
        const float d_min = load_half(src + 82);
        // Half a block is four runs of 32, which share 32 bytes: bits 2·run and 2·run + 1.
        for (std::size_t first = 0; first < 8; first += 4) {
            const auto packed = detail::load_32_bytes(src + 16 + first / 4 * 32);
            for (std::size_t run = first; run < first + 4; ++run) {
                for (std::size_t k = 0; k < detail::batches_of_32; ++k) {
                    const auto both = static_cast<std::uint32_t>(src[2 * run + k * lanes / 16]);
                    const word_lanes q =
                        (packed[k] >> static_cast<std::uint32_t>((run - first) * 2)) & 3U;
                    sink(run * detail::batches_of_32 + k,
                         xsimd::fms(to_floats(q), batch(d * static_cast<float>(both & 0x0FU)),
                                    batch(d_min * static_cast<float>(both >> 4U))));
                }
            }
        }
    }
};

namespace detail {

/// The six-bit scale of group i (0 to 15) of a q3_k block, in [-32, 31]: four low bits of groups
/// below 8 in the low nibbles of eight bytes, of the others in the high ones; then four bytes of
/// two high bits each, of groups i, i + 4, i + 8, i + 12.
[[nodiscard]] inline int q3_k_scale(const std::byte* scales, std::size_t i) {
    const auto low = static_cast<unsigned>(scales[i % 8]) >> (i / 8 * 4);
    const auto high = static_cast<unsigned>(scales[8 + i % 4]) >> (i / 4 * 2);
    return static_cast<int>((low & 0x0FU) | (high & 0x03U) << 4U) - 32;
}

}  // namespace detail

/// (d·s)·(q - 4), q in [0, 7]; s of each group of 16 in [-32, 31].
struct q3_k {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 32 + 64 + 12 + 2;
    static constexpr std::string_view name = "q3_k";

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        const float d = load_half(src + 108);
        // Bit `run` of byte i is the third bit of element i of a run of 32; below it as in q2_k.
        const auto thirds = detail::load_32_bytes(src);
        for (std::size_t first = 0; first < 8; first += 4) {
            const auto packed = detail::load_32_bytes(src + 32 + first / 4 * 32);
            for (std::size_t run = first; run < first + 4; ++run) {
                const auto low_shift = static_cast<std::uint32_t>((run - first) * 2);
                for (std::size_t k = 0; k < detail::batches_of_32; ++k) {
                    const word_lanes low = (packed[k] >> low_shift) & 3U;
                    const word_lanes third = (thirds[k] >> static_cast<std::uint32_t>(run)) & 1U;
                    const int scale = detail::q3_k_scale(src + 96, 2 * run + k * lanes / 16);
                    sink(run * detail::batches_of_32 + k, to_floats((low | third << 2U) - 4U) *
                                                              batch(d * static_cast<float>(scale)));
                }
            }
        }
    }
};

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
        // `high` are on top. Bytes are spread over lanes once for all runs that they are in.
        for (std::size_t half = 0; half < 2; ++half) {
            const std::array low{detail::load_32_bytes(src + 64 * half),
                                 detail::load_32_bytes(src + 64 * half + 32)};
            const auto high = detail::load_32_bytes(src + 128 + 32 * half);
            for (std::size_t pair = 0; pair < 4; pair += 2) {
                unrolled<2>([&](auto second) XLENS_INLINE {
                    const std::size_t run = 4 * half + pair + second;
                    for (std::size_t k = 0; k < detail::batches_of_32; ++k) {
                        const auto top = static_cast<std::uint32_t>((pair + second) * 2);
                        const word_lanes q =
                            ((low[second][k] >> static_cast<std::uint32_t>(pair * 2)) & 0x0FU) |
                            (((high[k] >> top) & 0x03U) << 4U);
                        const auto scale =
                            load_unaligned<std::int8_t>(src + 192 + 2 * run + k * lanes / 16);
                        sink(run * detail::batches_of_32 + k,
                             to_floats(q - 32U) * batch(d * static_cast<float>(scale)));
                    }
                });
            }
        }
    }
};

}  // namespace xlens
