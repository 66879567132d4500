// SPDX-License-Identifier: BSD-3-Clause
#pragma once

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

/// The scale of a quantised block, stored as binary16.
[[nodiscard]] inline float load_half(const std::byte* src) {
    return half_to_float(load_unaligned<std::uint16_t>(src));
}

/// IEEE 754 binary32.
struct f32 {
    using stored = std::uint32_t;
    static constexpr std::size_t block = 1;
    static constexpr std::size_t bytes = 4;
    static constexpr std::string_view name = "f32";

    static float value(stored bits) { return std::bit_cast<float>(bits); }
    static void decode(const std::byte* src, float* out) {
        *out = value(load_unaligned<stored>(src));
    }
};

/// IEEE 754 binary16.
struct f16 {
    using stored = std::uint16_t;
    static constexpr std::size_t block = 1;
    static constexpr std::size_t bytes = 2;
    static constexpr std::string_view name = "f16";

    static float value(stored bits) { return half_to_float(bits); }
    static void decode(const std::byte* src, float* out) {
        *out = value(load_unaligned<stored>(src));
    }
};

/// bfloat16: the upper half of a binary32.
struct bf16 {
    using stored = std::uint16_t;
    static constexpr std::size_t block = 1;
    static constexpr std::size_t bytes = 2;
    static constexpr std::string_view name = "bf16";

    static float value(stored bits) {
        return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16U);
    }
    static void decode(const std::byte* src, float* out) {
        *out = value(load_unaligned<stored>(src));
    }
};

}  // namespace xlens
