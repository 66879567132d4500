// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

// Small integers widened to one 32-bit lane each: what the formats of storage/formats/ are decoded
// with. xsimd 8 has no widening load, and g++ 12 makes none of its vector types: one instruction
// with AVX2 and AVX-512, elsewhere a loop over four lanes, which becomes the usual unpack
// instructions.

namespace xlens {

/// One unsigned 32-bit integer a lane of `batch`.
using word_lanes [[gnu::vector_size(4 * lanes)]] = std::uint32_t;
/// The floats of a batch, for shuffles that xsimd lacks.
using float_lanes [[gnu::vector_size(4 * lanes)]] = float;

inline float_lanes lanes_of(const batch& x) {
    return reinterpret_cast<float_lanes>(static_cast<batch::register_type>(x));
}
inline batch batch_of(const float_lanes& x) {
    return batch(reinterpret_cast<batch::register_type>(x));
}

namespace detail {

using signed_words [[gnu::vector_size(4 * lanes)]] = std::int32_t;

/// {value(0), value(1), ...}.
template <class Value>
constexpr word_lanes each_lane(Value value) {
    return [value]<std::size_t... i>(std::index_sequence<i...>) {
        return word_lanes{static_cast<std::uint32_t>(value(i))...};
    }(std::make_index_sequence<lanes>{});
}

/// The `lanes` items at src, one a lane.
template <class Item>
word_lanes load_items(const std::byte* src) {
#if defined(__AVX512F__)
    if constexpr (sizeof(Item) == 2) {
        const __m256i items = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src));
        return reinterpret_cast<word_lanes>(_mm512_cvtepu16_epi32(items));
    } else {
        const __m128i items = _mm_loadu_si128(reinterpret_cast<const __m128i*>(src));
        return reinterpret_cast<word_lanes>(std::is_signed_v<Item> ? _mm512_cvtepi8_epi32(items)
                                                                   : _mm512_cvtepu8_epi32(items));
    }
#elif defined(__AVX2__)
    if constexpr (sizeof(Item) == 2) {
        const __m128i items = _mm_loadu_si128(reinterpret_cast<const __m128i*>(src));
        return reinterpret_cast<word_lanes>(_mm256_cvtepu16_epi32(items));
    } else {
        const __m128i items = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(src));
        return reinterpret_cast<word_lanes>(std::is_signed_v<Item> ? _mm256_cvtepi8_epi32(items)
                                                                   : _mm256_cvtepu8_epi32(items));
    }
#else
    std::array<Item, lanes> items;
    std::memcpy(&items, src, sizeof items);
    return each_lane([&](std::size_t l) { return items[l]; });
#endif
}

}  // namespace detail

/// Lane l = byte l of the `lanes` bytes at src.
inline word_lanes load_bytes(const std::byte* src) { return detail::load_items<std::uint8_t>(src); }
/// The same of signed bytes.
inline word_lanes load_signed_bytes(const std::byte* src) {
    return detail::load_items<std::int8_t>(src);
}
/// Lane l = 16-bit integer l of the `lanes` integers at src.
inline word_lanes load_halves(const std::byte* src) {
    return detail::load_items<std::uint16_t>(src);
}
/// Lane l = l.
inline word_lanes lane_numbers() {
    return detail::each_lane([](std::size_t l) { return l; });
}
/// The lanes as they are, read as floats.
inline batch as_floats(const word_lanes& bits) {
    return batch(reinterpret_cast<batch::register_type>(bits));
}
/// The bits of each lane.
inline word_lanes as_words(const batch& x) {
    return reinterpret_cast<word_lanes>(static_cast<batch::register_type>(x));
}
/// float(w) of each lane, read as a signed integer.
inline batch to_floats(const word_lanes& w) {
    return batch_of(
        __builtin_convertvector(reinterpret_cast<detail::signed_words>(w), float_lanes));
}
/// The lanes, which are whole numbers, as integers.
inline void to_integers(const batch& x, std::int32_t* out) {
    const auto values = __builtin_convertvector(lanes_of(x), detail::signed_words);
    std::memcpy(out, &values, sizeof values);
}
/// The lanes, which are whole numbers from -128 to 127, as `lanes` bytes.
inline void to_signed_bytes(const batch& x, std::int8_t* out) {
    const auto values = __builtin_convertvector(lanes_of(x), detail::signed_words);
#if defined(__AVX512F__)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                     _mm512_cvtepi32_epi8(reinterpret_cast<__m512i>(values)));
#elif defined(__AVX2__)
    const auto all = reinterpret_cast<__m256i>(values);
    const __m128i halves =
        _mm_packs_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out), _mm_packs_epi16(halves, halves));
#else
    for (std::size_t l = 0; l < lanes; ++l) { out[l] = static_cast<std::int8_t>(values[l]); }
#endif
}

}  // namespace xlens
