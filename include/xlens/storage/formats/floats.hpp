// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/halves.hpp>
#include <xlens/core/unroll.hpp>
#include <xlens/core/words.hpp>

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

/// The scale of a quantised block, stored as binary16.
[[nodiscard]] inline float load_half(const std::byte* src) {
#ifdef XLENS_HALF
    XLENS_HALF half;
    std::memcpy(&half, src, sizeof half);
    return static_cast<float>(half);
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
        sink(0, load_binary16(src));
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
