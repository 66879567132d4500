// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/formats/blocks_32.hpp>
#include <xlens/storage/to_half.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace xlens {

/// The nearest binary16 of a finite x >= 0, of two the even one; the largest for what is beyond.
[[nodiscard]] constexpr std::uint16_t nearest_half(float x) {
    constexpr std::uint16_t largest = 0x7BFFU;
    return std::min(half_bits(x), largest);
}

/// Finite x, whole blocks of q8_0, in 8 bits: 32 elements share the scale d = max|x|/127 as
/// binary16, and their codes are the nearest to x/d, of two the even one. Each is off by d/2 and
/// what rounds d.
inline void to_q8_0(std::span<const float> x, std::byte* out) {
    for (std::size_t i = 0; i < x.size(); i += q8_0::block, out += q8_0::bytes) {
        const float* const block = x.data() + i;
        std::array<float, q8_0::block> largest;  // a loop of maxima that vectorises
        for (std::size_t k = 0; k < q8_0::block; ++k) { largest[k] = std::abs(block[k]); }
        for (std::size_t half = q8_0::block / 2; half > 0; half /= 2) {
            for (std::size_t k = 0; k < half; ++k) {
                largest[k] = std::max(largest[k], largest[k + half]);
            }
        }
        const std::uint16_t half = nearest_half(largest[0] / 127.0F);
        const float scale = half_to_float(half);
        std::memcpy(out, &half, sizeof half);
        for (std::size_t k = 0; k < q8_0::block; ++k) {
            const float code = scale > 0.0F ? std::nearbyint(block[k] / scale) : 0.0F;
            const auto byte = static_cast<std::int8_t>(std::clamp(code, -127.0F, 127.0F));
            out[sizeof half + k] = static_cast<std::byte>(byte);
        }
    }
}

}  // namespace xlens
