// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/core/words.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace xlens {

/// The number at `src` in the byte order of the machine, which need not be aligned.
template <class T>
[[nodiscard]] inline T load_unaligned(const std::byte* src) {
    T out;
    std::memcpy(&out, src, sizeof(T));
    return out;
}

/// IEEE 754 binary16 to binary32, exact for every pattern: subnormals, infinities and the payload
/// of a NaN are kept. Integer arithmetic and selects only, so that loops over it vectorise on every
/// instruction set; branches and `_Float16` do not.
[[nodiscard]] constexpr float half_to_float(std::uint16_t half) {
    constexpr std::uint32_t rebias = (127U - 15U) << 23U;
    constexpr std::uint32_t exponent_mask = 0x1FU << 23U;
    const std::uint32_t sign = (half & 0x8000U) << 16U;
    const std::uint32_t shifted = (half & 0x7FFFU) << 13U;
    const std::uint32_t exponent = shifted & exponent_mask;
    // An infinity or NaN has the largest exponent of both formats: rebias it twice.
    const std::uint32_t normal = shifted + rebias + (exponent == exponent_mask ? rebias : 0U);
    // A subnormal is 0.m * 2^-14: read it as 1.m * 2^-14 and take the one away.
    constexpr std::uint32_t two_to_minus_14 = rebias + (1U << 23U);
    const float difference =
        std::bit_cast<float>(shifted + two_to_minus_14) - std::bit_cast<float>(two_to_minus_14);
    const auto subnormal = std::bit_cast<std::uint32_t>(difference);
    return std::bit_cast<float>(sign | (exponent == 0U ? subnormal : normal));
}

/// half_to_float of each lane.
[[nodiscard]] inline batch half_to_float(const word_lanes& half) {
    constexpr std::uint32_t rebias = (127U - 15U) << 23U;
    constexpr std::uint32_t exponent_mask = 0x1FU << 23U;
    constexpr std::uint32_t two_to_minus_14 = rebias + (1U << 23U);
    const word_lanes shifted = (half & 0x7FFFU) << 13U;
    const word_lanes exponent = shifted & exponent_mask;
    const word_lanes normal =
        shifted + rebias + (exponent == exponent_mask ? rebias : word_lanes{});
    const batch difference =
        as_floats(shifted + two_to_minus_14) - batch(std::bit_cast<float>(two_to_minus_14));
    const word_lanes magnitude = exponent == 0U ? as_words(difference) : normal;
    return as_floats(((half & 0x8000U) << 16U) | magnitude);
}

/// The scale of a quantised block, stored as binary16.
[[nodiscard]] inline float load_half(const std::byte* src) {
#ifdef __F16C__
    return static_cast<float>(load_unaligned<_Float16>(src));  // one instruction
#else
    return half_to_float(load_unaligned<std::uint16_t>(src));
#endif
}

/// IEEE 754 binary32.
struct f32 {
    static constexpr std::size_t block = 1;
    static constexpr std::size_t bytes = 4;
    static constexpr std::string_view name = "f32";

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        sink(0, as_floats(load_unaligned<word_lanes>(src)));
    }
};

/// IEEE 754 binary16.
struct f16 {
    static constexpr std::size_t block = 1;
    static constexpr std::size_t bytes = 2;
    static constexpr std::string_view name = "f16";

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        sink(0, half_to_float(load_halves(src)));
    }
};

/// bfloat16: the upper half of a binary32.
struct bf16 {
    static constexpr std::size_t block = 1;
    static constexpr std::size_t bytes = 2;
    static constexpr std::string_view name = "bf16";

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        sink(0, as_floats(load_halves(src) << 16U));
    }
};

}  // namespace xlens
