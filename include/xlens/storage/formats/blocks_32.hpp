// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/formats/code_bytes.hpp>
#include <xlens/storage/formats/floats.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

// GGUF's formats of 32 elements a block. Each stores q, small integers, and the scale d (and, in
// the _1 formats, the offset m) as binary16; an element is d·q or d·q + m. Every product d·q fits
// the 24 bits of a float exactly, so d·q + m has the same bits with and without fused arithmetic.
// Layouts: ggml-common.h and gguf-py/gguf/quants.py of llama.cpp.

namespace xlens {

namespace detail {

/// 16 bytes of nibbles, 32 elements: calls sink(k, floats of (q - offset) of batch k), the low
/// nibbles first. Each byte is loaded once.
template <class Sink>
[[gnu::always_inline]] inline void each_nibble(const std::byte* src, unsigned offset, Sink sink) {
    constexpr std::size_t half = batches_of_32 / 2;
    std::array<word_lanes, half> packed;
    unrolled<half>([&](auto k) XLENS_INLINE { packed[k] = load_bytes(src + k * lanes); });
    unrolled<half>([&](auto k) XLENS_INLINE { sink(k, to_floats((packed[k] & 0x0FU) - offset)); });
    unrolled<half>([&](auto k)
                       XLENS_INLINE { sink(k + half, to_floats((packed[k] >> 4U) - offset)); });
}

/// The same with a fifth bit on top of each nibble: bit i of the word at `high` belongs to element
/// i.
template <class Sink>
[[gnu::always_inline]] inline void each_five_bits(const std::byte* high, const std::byte* low,
                                                  unsigned offset, Sink sink) {
    const auto part = [&](std::size_t j) XLENS_INLINE {
        return (load_nibbles(low, j) | load_bits(high, j, 16)) - static_cast<std::uint8_t>(offset);
    };
    each_code(part, sink);
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
        unrolled<detail::batches_of_32>([&](auto k) XLENS_INLINE {
            sink(k, to_floats(load_signed_bytes(src + 2 + k * lanes)) * d);
        });
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
        detail::each_nibble(src + 2, 8,
                            [&](std::size_t k, const batch& q) XLENS_INLINE { sink(k, q * d); });
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
        detail::each_nibble(src + 4, 0, [&](std::size_t k, const batch& q) XLENS_INLINE {
            sink(k, multiply_add(q, d, m));
        });
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
        detail::each_five_bits(src + 2, src + 6, 16,
                               [&](std::size_t k, const batch& q) XLENS_INLINE { sink(k, q * d); });
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
        detail::each_five_bits(src + 4, src + 8, 0,
                               [&](std::size_t k, const batch& q)
                                   XLENS_INLINE { sink(k, multiply_add(q, d, m)); });
    }
};

}  // namespace xlens
