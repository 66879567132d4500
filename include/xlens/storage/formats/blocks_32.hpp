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
// the 24 bits of a float exactly, so a compiler that fuses d·q + m computes the same bits.
// Layouts: ggml-common.h and gguf-py/gguf/quants.py of llama.cpp.

namespace xlens {

namespace detail {

/// Copies n bytes to a local array. What is local cannot overlap the output, which is what lets the
/// compiler vectorise the loops below without a run-time test.
template <std::size_t n>
[[nodiscard]] inline std::array<std::uint8_t, n> load_bytes(const std::byte* src) {
    std::array<std::uint8_t, n> out;
    std::memcpy(out.data(), src, n);
    return out;
}

/// 16 bytes of nibbles: out[i] = value(q_i), the low nibbles first. Two loops over the same bytes:
/// collecting the 32 integers before the arithmetic costs g++ half of the speed. Not unrolled: at
/// -O3 both g++ and clang would unroll loops of 16 before they vectorise, up to five times slower.
template <class Value>
inline void decode_nibbles(const std::byte* src, Value value, float* out) {
    const auto packed = load_bytes<16>(src);
#pragma GCC unroll 1
    for (std::size_t i = 0; i < 16; ++i) { out[i] = value(packed[i] & 0x0F); }
#pragma GCC unroll 1
    for (std::size_t i = 0; i < 16; ++i) { out[i + 16] = value(packed[i] >> 4); }
}

/// Nibbles plus a fifth bit each: bit i of the word at `high` belongs to element i.
template <class Value>
inline void decode_five_bits(const std::byte* high, const std::byte* low, Value value, float* out) {
    const auto word = load_unaligned<std::uint32_t>(high);
    const auto packed = load_bytes<16>(low);
    const auto fifth = [word](std::size_t i) { return static_cast<int>((word >> i) & 1U) << 4; };
#pragma GCC unroll 1
    for (std::size_t i = 0; i < 16; ++i) { out[i] = value((packed[i] & 0x0F) | fifth(i)); }
#pragma GCC unroll 1
    for (std::size_t i = 0; i < 16; ++i) { out[i + 16] = value((packed[i] >> 4) | fifth(i + 16)); }
}

}  // namespace detail

/// d·q, q in [-128, 127].
struct q8_0 {
    static constexpr std::size_t block = 32;
    static constexpr std::size_t bytes = 2 + 32;
    static constexpr std::string_view name = "q8_0";

    static void decode(const std::byte* src, float* out) {
        const float d = load_half(src);
        std::array<std::int8_t, block> q;
        std::memcpy(q.data(), src + 2, block);
        for (std::size_t i = 0; i < block; ++i) { out[i] = d * static_cast<float>(q[i]); }
    }
};

/// d·(q - 8), q in [0, 15].
struct q4_0 {
    static constexpr std::size_t block = 32;
    static constexpr std::size_t bytes = 2 + 16;
    static constexpr std::string_view name = "q4_0";

    static void decode(const std::byte* src, float* out) {
        const float d = load_half(src);
        const auto value = [d](int q) { return d * static_cast<float>(q - 8); };
        detail::decode_nibbles(src + 2, value, out);
    }
};

/// d·q + m, q in [0, 15].
struct q4_1 {
    static constexpr std::size_t block = 32;
    static constexpr std::size_t bytes = 2 + 2 + 16;
    static constexpr std::string_view name = "q4_1";

    static void decode(const std::byte* src, float* out) {
        const float d = load_half(src);
        const float m = load_half(src + 2);
        const auto value = [d, m](int q) { return d * static_cast<float>(q) + m; };
        detail::decode_nibbles(src + 4, value, out);
    }
};

/// d·(q - 16), q in [0, 31].
struct q5_0 {
    static constexpr std::size_t block = 32;
    static constexpr std::size_t bytes = 2 + 4 + 16;
    static constexpr std::string_view name = "q5_0";

    static void decode(const std::byte* src, float* out) {
        const float d = load_half(src);
        const auto value = [d](int q) { return d * static_cast<float>(q - 16); };
        detail::decode_five_bits(src + 2, src + 6, value, out);
    }
};

/// d·q + m, q in [0, 31].
struct q5_1 {
    static constexpr std::size_t block = 32;
    static constexpr std::size_t bytes = 2 + 2 + 4 + 16;
    static constexpr std::string_view name = "q5_1";

    static void decode(const std::byte* src, float* out) {
        const float d = load_half(src);
        const float m = load_half(src + 2);
        const auto value = [d, m](int q) { return d * static_cast<float>(q) + m; };
        detail::decode_five_bits(src + 4, src + 8, value, out);
    }
};

}  // namespace xlens
