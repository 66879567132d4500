// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/core/unroll.hpp>
#include <xlens/core/words.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

// Codes of a few bits, taken apart while they are bytes: 32 at a time where a float has a register
// for 8. Where there is no better way they go through memory into lanes, which widens them.

namespace xlens::detail {

/// Bytes that are worked on together: a register, but at most 32.
inline constexpr std::size_t code_bytes_size = lanes >= 8 ? 32 : 16;
using code_bytes [[gnu::vector_size(code_bytes_size)]] = std::uint8_t;
/// The same bytes as words of 16 and 32 bits: shifts of bytes are shifts of these, and a mask.
using code_halves [[gnu::vector_size(code_bytes_size)]] = std::uint16_t;
using code_words [[gnu::vector_size(code_bytes_size)]] = std::uint32_t;

/// Such registers for 32 codes; part j has the codes from j·code_bytes_size on.
inline constexpr std::size_t code_parts = 32 / code_bytes_size;
/// Batches of 32 elements.
inline constexpr std::size_t batches_of_32 = 32 / lanes;

/// Part j of the 32 bytes at src.
[[gnu::always_inline]] inline code_bytes load_codes(const std::byte* src, std::size_t j) {
    code_bytes out;
    std::memcpy(&out, src + j * code_bytes_size, sizeof out);
    return out;
}

/// The bits of each byte moved by `shift` towards bit 0 (below 0: away from it), those of `mask`
/// alone.
template <int shift>
[[gnu::always_inline]] inline code_bytes bits_of(const code_bytes& x, unsigned mask) {
    const auto keep = static_cast<std::uint8_t>(mask);
    if constexpr (shift >= 0) {
        return reinterpret_cast<code_bytes>(reinterpret_cast<code_halves>(x) >> shift) & keep;
    } else {
        return reinterpret_cast<code_bytes>(reinterpret_cast<code_halves>(x) << -shift) & keep;
    }
}

/// Part j of the 32 codes of four bits in the 16 bytes at src, the low nibbles first.
[[gnu::always_inline]] inline code_bytes load_nibbles(const std::byte* src,
                                                      [[maybe_unused]] std::size_t j) {
#if defined(__AVX__)  // all at once
    using half [[gnu::vector_size(16)]] = std::uint32_t;
    half once;
    std::memcpy(&once, src, sizeof once);
    const code_words twice = __builtin_shufflevector(once, once, 0, 1, 2, 3, 0, 1, 2, 3);
    constexpr code_words shift{0, 0, 0, 0, 4, 4, 4, 4};
    return reinterpret_cast<code_bytes>(twice >> shift) & 0x0F;
#else
    const code_bytes both = load_codes(src, 0);
    return j == 0 ? both & 0x0F : bits_of<4>(both, 0x0F);
#endif
}

/// Part j of 32 codes of one bit, bit i of the word at src being code i: `value` or 0.
[[gnu::always_inline]] inline code_bytes load_bits(const std::byte* src, std::size_t j,
                                                   unsigned value) {
    std::uint32_t word = 0;
    std::memcpy(&word, src, sizeof word);
    const auto all = reinterpret_cast<code_bytes>(code_words{} + word);
    return [&]<std::size_t... i>(std::index_sequence<i...>) XLENS_INLINE {
        constexpr code_bytes bit{static_cast<std::uint8_t>(1U << i % 8)...};
        const code_bytes low = __builtin_shufflevector(all, all, static_cast<int>(i / 8)...);
        if constexpr (code_parts == 1) {
            return reinterpret_cast<code_bytes>((low & bit) == bit) &
                   static_cast<std::uint8_t>(value);
        } else {
            const code_bytes high =
                __builtin_shufflevector(all, all, static_cast<int>(2 + i / 8)...);
            return reinterpret_cast<code_bytes>(((j == 0 ? low : high) & bit) == bit) &
                   static_cast<std::uint8_t>(value);
        }
    }(std::make_index_sequence<code_bytes_size>{});
}

/// sink(k, batch k as floats) of 32 codes from -128 to 127, part(j) being part j.
template <class Part, class Sink>
[[gnu::always_inline]] inline void each_code(Part part, Sink sink) {
#if defined(__AVX2__) && !defined(__AVX512F__)  // through registers: a tenth faster
    const auto all = reinterpret_cast<__m256i>(part(std::size_t{0}));
    unrolled<batches_of_32>([&](auto k) XLENS_INLINE {
        const __m128i half = _mm256_extracti128_si256(all, k / 2);
        const __m128i eight = k % 2 == 0 ? half : _mm_unpackhi_epi64(half, half);
        sink(k, to_floats(reinterpret_cast<word_lanes>(_mm256_cvtepi8_epi32(eight))));
    });
#else
    alignas(code_bytes_size) std::array<std::byte, 32> apart;
    unrolled<code_parts>([&](auto j) XLENS_INLINE {
        const code_bytes codes = part(j);
        std::memcpy(&apart[j * code_bytes_size], &codes, sizeof codes);
    });
    unrolled<batches_of_32>(
        [&](auto k) XLENS_INLINE { sink(k, to_floats(load_signed_bytes(&apart[k * lanes]))); });
#endif
}

/// What the formats of 256 elements a block have in common: a block is eight parts of 32 (or
/// fewer, as many as the format says), decoded with scales that are made once a block. A format has
/// scales(src) and each_of_part<g>(src, scales, sink), which calls sink(k, batch k of part g).
/// Products of several rows take the rows' parts by turns: a sum would wait for itself through the
/// 32 batches of a block.
template <class Format>
struct in_parts {
    static constexpr std::size_t parts = 8;

    template <class Sink>
    [[gnu::always_inline]] static void each_batch(const std::byte* src, Sink sink) {
        const auto scales = Format::scales(src);
        unrolled<Format::parts>([&](auto g) XLENS_INLINE {
            constexpr std::size_t first = g * (Format::block / Format::parts / lanes);
            Format::template each_of_part<g>(src, scales,
                                             [&](std::size_t k, const batch& values)
                                                 XLENS_INLINE { sink(first + k, values); });
        });
    }
};

/// Sixteen small integers as floats: the first eight times `first`, the others times `second`.
[[gnu::always_inline]] inline std::array<float, 16> scaled_bytes(const std::byte* src, float first,
                                                                 float second) {
    std::array<float, 16> factor;
    factor.fill(first);
    for (std::size_t i = 8; i < 16; ++i) { factor[i] = second; }
    std::array<float, 16> out;
    for (std::size_t i = 0; i < 16; i += lanes) {
        const batch values = to_floats(load_signed_bytes(src + i));
        (values * batch::load_unaligned(&factor[i])).store_unaligned(&out[i]);
    }
    return out;
}

}  // namespace xlens::detail
