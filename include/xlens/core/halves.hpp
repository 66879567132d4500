// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/words.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>

#if defined(__F16C__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>

#include <cstring>
#endif

// IEEE 754 binary16 to binary32. xsimd 8 has no such conversion: one instruction with F16C, which
// every processor with AVX2 has, and on 64-bit Arm; integer arithmetic elsewhere.

/// The compiler's type whose conversions are an instruction each, where there is one.
#if defined(__F16C__)
#define XLENS_HALF _Float16
#elif defined(__aarch64__)
#define XLENS_HALF __fp16
#endif

namespace xlens {

/// Binary16 to binary32, exact for every pattern: subnormals, infinities and the payload of a NaN
/// are kept. Integer arithmetic and selects only, so that loops over it vectorise on every
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

/// half_to_float of the `lanes` numbers at src, which need not be aligned. An instruction makes a
/// signalling NaN a quiet one.
[[nodiscard]] inline batch load_binary16(const std::byte* src) {
#if defined(__F16C__) && defined(__AVX512F__)
    static_assert(lanes == 16);
    return batch(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(src))));
#elif defined(__F16C__) && defined(__AVX2__)
    static_assert(lanes == 8);
    return batch(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(src))));
#elif defined(__aarch64__)
    static_assert(lanes == 4);
    std::uint64_t four = 0;
    std::memcpy(&four, src, sizeof four);
    return batch(vcvt_f32_f16(vreinterpret_f16_u16(vcreate_u16(four))));
#else
    return half_to_float(load_halves(src));
#endif
}

}  // namespace xlens
