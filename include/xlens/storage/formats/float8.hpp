// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/formats/floats.hpp>

#include <cstddef>
#include <string_view>

// Floats of eight bits, as safetensors files have them (Micikevicius et al. 2022, arXiv
// 2209.05433), and the form in which xlens keeps those that have scales: rows of 32 under a float.

namespace xlens {

namespace detail {

/// E5M2 is the upper half of a binary16.
[[nodiscard]] inline batch e5m2_to_float(const word_lanes& codes) {
    return half_to_float(codes << 8U);
}
/// E4M3FN: no infinity, all ones is a NaN. With its seven bits below the sign of a binary16 it is
/// 2^-8 times its value, subnormals too.
[[nodiscard]] inline batch e4m3_to_float(const word_lanes& codes) {
    const word_lanes half = ((codes & 0x80U) << 8U) | ((codes & 0x7FU) << 7U);
    const word_lanes number = as_words(half_to_float(half) * batch(256.0F));
    const word_lanes nan = ((codes & 0x80U) << 24U) | 0x7FC00000U;
    return as_floats((codes & 0x7FU) == 0x7FU ? nan : number);
}

/// One byte an element.
template <batch (*to_float)(const word_lanes&)>
struct float8 {
    static constexpr std::size_t block = 1;
    static constexpr std::size_t bytes = 1;
    static constexpr bool rare = true;  // products go through tiles: formats/rare.hpp

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        sink(0, to_float(load_bytes(src)));
    }
};

}  // namespace detail

struct f8_e4m3 : detail::float8<detail::e4m3_to_float> {
    static constexpr std::string_view name = "f8_e4m3";
};
struct f8_e5m2 : detail::float8<detail::e5m2_to_float> {
    static constexpr std::string_view name = "f8_e5m2";
};
/// A binary32 s, then 32 codes c of E4M3: elements s·c, rounded once. No file has it:
/// io/float8_scales.hpp makes it of codes and their tensor of scales.
struct f8_e4m3_scaled {
    static constexpr std::size_t block = 32;
    static constexpr std::size_t bytes = 4 + 32;
    static constexpr std::string_view name = "f8_e4m3_scaled";
    static constexpr bool rare = true;

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        const batch scale(load_unaligned<float>(src));
        for (std::size_t k = 0; k < block / lanes; ++k) {
            sink(k, detail::e4m3_to_float(load_bytes(src + 4 + k * lanes)) * scale);
        }
    }
};

}  // namespace xlens
