// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/halves.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace xlens {

/// IEEE 754 binary16 nearest to x, ties to even; from 65,520 on in magnitude an infinity. Without
/// the processor's instruction: F. Giesen's float_to_half, whose additions do the rounding.
[[nodiscard]] constexpr std::uint16_t half_bits(float x) {
    constexpr std::uint32_t infinity = 0x7f800000U;
    constexpr std::uint32_t too_large = (127U + 16U) << 23U;     // 2^16
    constexpr std::uint32_t least_normal = (127U - 14U) << 23U;  // 2^-14
    constexpr std::uint32_t half_subnormals = (127U - 15U + 23U - 10U + 1U) << 23U;
    const auto bits = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t sign = bits & 0x80000000U;
    std::uint32_t f = bits ^ sign;
    std::uint32_t out = 0;
    if (f >= too_large) {
        out = f > infinity ? 0x7e00U : 0x7c00U;
    } else if (f < least_normal) {
        // The sum's last bit is worth the least subnormal, so that the addition rounds to it.
        const float sum = std::bit_cast<float>(f) + std::bit_cast<float>(half_subnormals);
        out = std::bit_cast<std::uint32_t>(sum) - half_subnormals;
    } else {
        const std::uint32_t odd = (f >> 13U) & 1U;
        f += ((15U - 127U) << 23U) + 0xfffU + odd;
        out = f >> 13U;
    }
    return static_cast<std::uint16_t>(out | (sign >> 16U));
}

/// half_bits of each number.
inline void to_half(std::span<const float> x, std::uint16_t* out) {
    for (std::size_t i = 0; i < x.size(); ++i) {
#ifdef XLENS_HALF
        const auto half = static_cast<XLENS_HALF>(x[i]);
        std::memcpy(&out[i], &half, sizeof half);
#else
        out[i] = half_bits(x[i]);
#endif
    }
}

/// The largest number that binary16 has.
inline constexpr float largest_half = 65504.0F;

}  // namespace xlens
