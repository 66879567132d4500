// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/core/unroll.hpp>
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
    unrolled<7>([&](auto i) XLENS_INLINE {
        constexpr std::size_t l = i + 1;
        if constexpr (input_layout::block_of[l] < 4 * groups) {
            out = _mm_blend_epi16(out, from(l), 1 << l);
        }
    });
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
    unrolled<4 * groups - 1>([&](auto i) XLENS_INLINE {
        constexpr std::size_t k = i + 1;
        out = _mm256_blend_epi32(out, from(k), 1 << k);
    });
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
