// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/kernels/input_layout.hpp>
#include <xlens/kernels/integer_blocks.hpp>

#include <cstddef>
#include <cstdint>

// What integer products read and cut by registers of 16 and 32 bytes, whatever the processor.

#if XLENS_INTEGER_DOTS
#include <immintrin.h>

namespace xlens::kernels::detail {

using batch_of_ints = xsimd::batch<std::int32_t>;

[[gnu::always_inline]] inline __m128i load_16(const void* from) {
    return _mm_loadu_si128(static_cast<const __m128i*>(from));
}
/// The binary16 at the beginning of each of eight blocks, in the order of lanes (input_layout.hpp),
/// put together without shuffles: each is loaded so that it stands in its lane. Where there is but
/// one group of four blocks, the other lanes hold anything.
template <std::size_t groups, std::size_t bytes>
[[gnu::always_inline]] inline __m128i blend_halves(const std::byte* at) {
    const auto from = [&](std::size_t l) XLENS_INLINE {
        return load_16(at + input_layout::block_of[l] * bytes - l * sizeof(std::uint16_t));
    };
    __m128i out = from(0);
    out = _mm_blend_epi16(out, from(1), 1 << 1);
    out = _mm_blend_epi16(out, from(4), 1 << 4);
    out = _mm_blend_epi16(out, from(5), 1 << 5);
    if constexpr (groups == 2) {
        out = _mm_blend_epi16(out, from(2), 1 << 2);
        out = _mm_blend_epi16(out, from(3), 1 << 3);
        out = _mm_blend_epi16(out, from(6), 1 << 6);
        out = _mm_blend_epi16(out, from(7), 1 << 7);
    }
    return out;
}
/// The same of words of two halves, in the order of the blocks.
template <std::size_t groups, std::size_t bytes>
[[gnu::always_inline]] inline __m256i blend_words(const std::byte* at) {
    const auto from = [&](std::size_t k) XLENS_INLINE {
        return _mm256_loadu_si256(
            reinterpret_cast<const __m256i*>(at + k * (bytes - sizeof(std::uint32_t))));
    };
    __m256i out = from(0);
    out = _mm256_blend_epi32(out, from(1), 1 << 1);
    out = _mm256_blend_epi32(out, from(2), 1 << 2);
    out = _mm256_blend_epi32(out, from(3), 1 << 3);
    if constexpr (groups == 2) {
        out = _mm256_blend_epi32(out, from(4), 1 << 4);
        out = _mm256_blend_epi32(out, from(5), 1 << 5);
        out = _mm256_blend_epi32(out, from(6), 1 << 6);
        out = _mm256_blend_epi32(out, from(7), 1 << 7);
    }
    return out;
}
[[gnu::always_inline]] inline __m256i low_nibbles(__m256i x) {
    return _mm256_and_si256(x, _mm256_set1_epi8(0x0F));
}
[[gnu::always_inline]] inline __m256i high_nibbles(__m256i x) {
    return low_nibbles(_mm256_srli_epi16(x, 4));
}

}  // namespace xlens::kernels::detail

#endif
