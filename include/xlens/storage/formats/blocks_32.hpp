// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/formats/floats.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

// GGUF's formats of 32 elements a block. Each stores q, small integers, and the scale d (and, in
// the _1 formats, the offset m) as binary16; an element is d·q or d·q + m. Every product d·q fits
// the 24 bits of a float exactly, so d·q + m has the same bits with and without fused arithmetic.
// Layouts: ggml-common.h and gguf-py/gguf/quants.py of llama.cpp.

namespace xlens {

namespace detail {

/// Copies n bytes to a local array.
template <std::size_t n>
[[nodiscard]] std::array<std::uint8_t, n> copy_bytes(const std::byte* src) {
    std::array<std::uint8_t, n> out;
    std::memcpy(out.data(), src, n);
    return out;
}

/// Batches of 16 elements.
inline constexpr std::size_t batches_of_16 = 16 / lanes;

/// 16 bytes of nibbles: calls sink(k, value(q)) for the 32 elements, the low nibbles first.
template <class Value, class Sink>
[[gnu::always_inline]] inline void each_nibbles(const std::byte* src, Value value, Sink sink) {
    std::array<word_lanes, batches_of_16> packed;
    for (std::size_t k = 0; k < batches_of_16; ++k) { packed[k] = load_bytes(src + k * lanes); }
    for (std::size_t k = 0; k < batches_of_16; ++k) { sink(k, value(k, packed[k] & 0x0FU)); }
    for (std::size_t k = 0; k < batches_of_16; ++k) {
        sink(k + batches_of_16, value(k + batches_of_16, packed[k] >> 4U));
    }
}

/// Nibbles plus a fifth bit each: bit i of the word at `high` belongs to element i.
template <class Value, class Sink>
[[gnu::always_inline]] inline void each_five_bits(const std::byte* high, const std::byte* low,
                                                  Value value, Sink sink) {
    const word_lanes fifths = word_lanes{} + load_unaligned<std::uint32_t>(high);
    const auto with_fifth = [&](std::size_t k, const word_lanes& nibble) XLENS_INLINE {
        const word_lanes bit = fifths >> (lane_numbers() + static_cast<std::uint32_t>(k * lanes));
        return value(k, nibble | ((bit & 1U) << 4U));
    };
    each_nibbles(low, with_fifth, sink);
}

}  // namespace detail

/// d·q, q in [-128, 127].
struct q8_0 {
    static constexpr std::size_t block = 32;
    static constexpr std::size_t bytes = 2 + 32;
    static constexpr std::string_view name = "q8_0";

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        const batch d(load_half(src));
        for (std::size_t k = 0; k < block / lanes; ++k) {
            sink(k, to_floats(sign_extend_bytes(load_bytes(src + 2 + k * lanes))) * d);
        }
    }
};

/// d·(q - 8), q in [0, 15].
struct q4_0 {
    static constexpr std::size_t block = 32;
    static constexpr std::size_t bytes = 2 + 16;
    static constexpr std::string_view name = "q4_0";

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        const batch d(load_half(src));
        const auto value = [&](std::size_t, const word_lanes& q)
                               XLENS_INLINE { return to_floats(q - 8U) * d; };
        detail::each_nibbles(src + 2, value, sink);
    }
};

/// d·q + m, q in [0, 15].
struct q4_1 {
    static constexpr std::size_t block = 32;
    static constexpr std::size_t bytes = 2 + 2 + 16;
    static constexpr std::string_view name = "q4_1";

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        const batch d(load_half(src));
        const batch m(load_half(src + 2));
        const auto value = [&](std::size_t, const word_lanes& q)
                               XLENS_INLINE { return xsimd::fma(to_floats(q), d, m); };
        detail::each_nibbles(src + 4, value, sink);
    }
};

/// d·(q - 16), q in [0, 31].
struct q5_0 {
    static constexpr std::size_t block = 32;
    static constexpr std::size_t bytes = 2 + 4 + 16;
    static constexpr std::string_view name = "q5_0";

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        const batch d(load_half(src));
        const auto value = [&](std::size_t, const word_lanes& q)
                               XLENS_INLINE { return to_floats(q - 16U) * d; };
        detail::each_five_bits(src + 2, src + 6, value, sink);
    }
};

/// d·q + m, q in [0, 31].
struct q5_1 {
    static constexpr std::size_t block = 32;
    static constexpr std::size_t bytes = 2 + 2 + 4 + 16;
    static constexpr std::string_view name = "q5_1";

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        const batch d(load_half(src));
        const batch m(load_half(src + 2));
        const auto value = [&](std::size_t, const word_lanes& q)
                               XLENS_INLINE { return xsimd::fma(to_floats(q), d, m); };
        detail::each_five_bits(src + 4, src + 8, value, sink);
    }
};

}  // namespace xlens
