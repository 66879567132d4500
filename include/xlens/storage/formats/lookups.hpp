// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/look_up.hpp>
#include <xlens/storage/formats/blocks_32.hpp>
#include <xlens/storage/formats/floats.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

// GGUF's formats whose four bits are an index into a table of sixteen small integers, under a
// scale: an element is d·table[q], exact in a float. Layouts and tables: ggml-common.h and
// gguf-py/gguf/quants.py of llama.cpp.

namespace xlens {

namespace detail {

/// iq4_nl, iq4_xs: denser near zero, as weights are.
inline constexpr std::array<std::int8_t, 16> iq4_codes{-127, -104, -83, -65, -49, -35, -22, -10,
                                                       1,    13,   25,  38,  53,  69,  89,  113};
/// mxfp4, nvfp4: the numbers of E2M1 (a sign, two bits of exponent, one of fraction), doubled.
inline constexpr std::array<std::int8_t, 16> e2m1_codes{0, 1,  2,  3,  4,  6,  8,  12,
                                                        0, -1, -2, -3, -4, -6, -8, -12};

/// 16 bytes of nibbles, 32 elements: calls sink(k, floats of table[q] of batch k).
template <class Sink>
[[gnu::always_inline]] inline void each_looked_up(const std::byte* src,
                                                  const std::array<std::int8_t, 16>& table,
                                                  Sink sink) {
    each_code([&](std::size_t j) XLENS_INLINE { return look_up(table, load_nibbles(src, j)); },
              sink);
}

/// 2^(e - 128), for codes that are doubled: half of what E8M0 (OCP Microscaling) means by e.
[[nodiscard]] constexpr float half_of_e8m0(std::uint32_t e) {
    return std::bit_cast<float>(e < 2 ? std::uint32_t{0x00200000} << e : (e - 1) << 23U);
}

/// The six-bit scale of group i (0 to 7) of an iq4_xs block, in [-32, 31].
[[nodiscard]] inline int iq4_xs_scale(const std::byte* src, std::size_t i) {
    const auto low = static_cast<unsigned>(src[4 + i / 2]) >> (i % 2 * 4);
    const unsigned high = unsigned{load_unaligned<std::uint16_t>(src + 2)} >> (2 * i);
    return static_cast<int>((low & 0x0FU) | ((high & 0x03U) << 4U)) - 32;
}

}  // namespace detail

/// d·table[q].
struct iq4_nl {
    static constexpr std::size_t block = 32;
    static constexpr std::size_t bytes = 2 + 16;
    static constexpr std::string_view name = "iq4_nl";

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        const batch d(load_half(src));
        detail::each_looked_up(src + 2, detail::iq4_codes,
                               [&](std::size_t k, const batch& q) XLENS_INLINE { sink(k, q * d); });
    }
};

/// (d·s)·table[q], s of each group of 32 in [-32, 31].
struct iq4_xs : detail::in_parts<iq4_xs> {
    static constexpr std::size_t block = 256;
    static constexpr std::size_t bytes = 2 + 2 + 4 + 128;
    static constexpr std::string_view name = "iq4_xs";

    [[gnu::always_inline]] static std::array<float, parts> scales(const std::byte* src) {
        const float d = load_half(src);
        std::array<float, parts> out;
        unrolled<parts>([&](auto g) XLENS_INLINE {
            out[g] = d * static_cast<float>(detail::iq4_xs_scale(src, g));
        });
        return out;
    }
    template <std::size_t g, class Sink>
    [[gnu::always_inline]] static void each_of_part(const std::byte* src,
                                                    const std::array<float, parts>& scales,
                                                    Sink sink) {
        const batch scale(scales[g]);
        detail::each_looked_up(src + 8 + 16 * g, detail::iq4_codes,
                               [&](std::size_t k, const batch& q)
                                   XLENS_INLINE { sink(k, q * scale); });
    }
};

/// 2^(e - 127)·v, v of E2M1: OCP Microscaling MXFP4, an exponent of eight bits a block.
struct mxfp4 {
    static constexpr std::size_t block = 32;
    static constexpr std::size_t bytes = 1 + 16;
    static constexpr std::string_view name = "mxfp4";

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        const batch d(detail::half_of_e8m0(static_cast<std::uint32_t>(src[0])));
        detail::each_looked_up(src + 1, detail::e2m1_codes,
                               [&](std::size_t k, const batch& q) XLENS_INLINE { sink(k, q * d); });
    }
};

}  // namespace xlens
