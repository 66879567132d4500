// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/formats/floats.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

// GGUF's formats of 32 elements a block. Each stores q, small integers, and the scale d (and, in the
// _1 formats, the offset m) as binary16; an element is d·q or d·q + m. Every product d·q fits the 24
// bits of a float exactly, so a compiler that fuses d·q + m computes the same bits.
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

/// 16 bytes of nibbles to 32 integers: the low nibbles come first.
[[nodiscard]] inline std::array<std::uint8_t, 32> unpack_nibbles(const std::byte* src) {
    const auto packed = load_bytes<16>(src);
    std::array<std::uint8_t, 32> out;
    for (std::size_t i = 0; i < 16; ++i) {
        out[i] = packed[i] & 0x0FU;
        out[i + 16] = static_cast<std::uint8_t>(packed[i] >> 4U);
    }
    return out;
}

/// unpack_nibbles plus a fifth bit each: bit i of the word at `high` belongs to element i.
[[nodiscard]] inline std::array<std::uint8_t, 32> unpack_five_bits(const std::byte* high,
                                                                   const std::byte* low) {
    const auto word = load_unaligned<std::uint32_t>(high);
    auto out = unpack_nibbles(low);
    for (std::uint32_t i = 0; i < 32; ++i) {
        out[i] = static_cast<std::uint8_t>(out[i] | (((word >> i) & 1U) << 4U));
    }
    return out;
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
        const auto q = detail::unpack_nibbles(src + 2);
        for (std::size_t i = 0; i < block; ++i) { out[i] = d * static_cast<float>(q[i] - 8); }
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
        const auto q = detail::unpack_nibbles(src + 4);
        for (std::size_t i = 0; i < block; ++i) { out[i] = d * static_cast<float>(q[i]) + m; }
    }
};

/// d·(q - 16), q in [0, 31].
struct q5_0 {
    static constexpr std::size_t block = 32;
    static constexpr std::size_t bytes = 2 + 4 + 16;
    static constexpr std::string_view name = "q5_0";

    static void decode(const std::byte* src, float* out) {
        const float d = load_half(src);
        const auto q = detail::unpack_five_bits(src + 2, src + 6);
        for (std::size_t i = 0; i < block; ++i) { out[i] = d * static_cast<float>(q[i] - 16); }
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
        const auto q = detail::unpack_five_bits(src + 4, src + 8);
        for (std::size_t i = 0; i < block; ++i) { out[i] = d * static_cast<float>(q[i]) + m; }
    }
};

}  // namespace xlens
