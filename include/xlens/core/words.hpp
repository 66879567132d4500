// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

// Small integers widened to one 32-bit lane each: what the formats of storage/formats/ are decoded
// with. xsimd 8 has no widening load, so it is written with the compiler's vector types: bytes are
// loaded as whole words, spread over the lanes by one shuffle, and shifted by a count a lane. With
// AVX2 and AVX-512 that is a broadcast, a permute and a variable shift. Four lanes (SSE2, NEON)
// have no such shift; a loop there becomes the usual unpack instructions.

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
using long_words [[gnu::vector_size(4 * lanes)]] = std::uint64_t;

/// {value(0), value(1), ...}.
template <class Value>
constexpr word_lanes each_lane(Value value) {
    return [value]<std::size_t... i>(std::index_sequence<i...>) {
        return word_lanes{static_cast<std::uint32_t>(value(i))...};
    }(std::make_index_sequence<lanes>{});
}

/// Lane l holds the word that contains item l of an array of items of `size` bytes.
template <std::size_t size>
word_lanes spread(const std::byte* src) {
    constexpr std::size_t count = size * lanes / sizeof(std::uint64_t);
    static_assert(count == 1 || count == 2 || count == 4);
    std::array<std::uint64_t, count> part;
    std::memcpy(part.data(), src, sizeof part);
    const auto whole = [](std::uint64_t value) {
        return reinterpret_cast<word_lanes>(long_words{} + value);
    };
    return [&]<std::size_t... l>(std::index_sequence<l...>) {
        constexpr auto word = [](std::size_t lane) { return static_cast<int>(lane * size / 4); };
        // Of a broadcast of 64 bits, every lane holds word 0 or 1 by its parity.
        if constexpr (count == 1) {
            const word_lanes all = whole(part[0]);
            return __builtin_shufflevector(all, all, word(l)...);
        } else if constexpr (count == 2) {
            return __builtin_shufflevector(
                whole(part[0]), whole(part[1]),
                (word(l) < 2 ? word(l) : static_cast<int>(lanes) + word(l) - 2)...);
        } else {
            using quarter [[gnu::vector_size(32)]] = std::uint64_t;
            quarter half;
            std::memcpy(&half, part.data(), sizeof half);
            const auto each_twice = __builtin_shufflevector(half, half, 0, 0, 1, 1, 2, 2, 3, 3);
            word_lanes twice;
            std::memcpy(&twice, &each_twice, sizeof twice);
            return __builtin_shufflevector(twice, twice, (word(l) / 2 * 4 + word(l) % 2)...);
        }
    }(std::make_index_sequence<lanes>{});
}

template <class Item>
word_lanes load_items(const std::byte* src) {
    if constexpr (lanes > 4) {
        constexpr std::size_t in_word = 4 / sizeof(Item);
        const word_lanes shift =
            each_lane([](std::size_t l) { return 8 * sizeof(Item) * (l % in_word); });
        return (spread<sizeof(Item)>(src) >> shift) & ((1U << (8 * sizeof(Item))) - 1U);
    } else {
        std::array<Item, lanes> items;
        std::memcpy(items.data(), src, sizeof items);
        return each_lane([&](std::size_t l) { return items[l]; });
    }
}

}  // namespace detail

/// Lane l = byte l of the `lanes` bytes at src.
inline word_lanes load_bytes(const std::byte* src) { return detail::load_items<std::uint8_t>(src); }
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
/// The low eight bits of each lane as a signed integer.
inline word_lanes sign_extend_bytes(const word_lanes& bytes) {
    return reinterpret_cast<word_lanes>(reinterpret_cast<detail::signed_words>(bytes << 24U) >> 24);
}

}  // namespace xlens
