// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/storage/format_id.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <string_view>

#if XLENS_DEFINES(storage)
#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/storage/formats.hpp>
#include <xlens/storage/to_half.hpp>
#include <xlens/storage/to_q8_0.hpp>

#include <cmath>
#include <cstdint>
#include <cstring>
#endif

namespace xlens {

/// In which numbers keys and values of positions may be kept; what is computed with them is
/// computed in f32.
///   f32   as they were computed
///   f16   the nearest binary16: half the memory
///   q8_0  8 bits (storage/to_q8_0.hpp): 34 bytes for 32 numbers, which must be of one head
[[nodiscard]] constexpr bool is_cache_format(format_id format) {
    return format == format_id::f32 || format == format_id::f16 || format == format_id::q8_0;
}
/// Throws xlens::error for another format, or one whose blocks are not whole in a head.
XLENS_API void check_cache_format(format_id format, std::size_t head_size);

/// Writes x (T, width), keys or values (`what`) of positions `first` on, to `to`, rounded to the
/// format, a row after the other. Throws xlens::error for a number that the format cannot hold.
XLENS_API void to_cache(format_id format, std::string_view what, std::size_t first,
                        rows<const float> x, std::byte* to);

#if XLENS_DEFINES(storage)
XLENS_API void check_cache_format(format_id format, std::size_t head_size) {
    if (!is_cache_format(format)) {
        fail("cache: expected f32, f16 or q8_0, got {}", format_name(format));
    }
    if (head_size % format_block(format) != 0) {
        fail("cache {}: expected heads of a multiple of {} numbers, got {}", format_name(format),
             format_block(format), head_size);
    }
}

namespace detail {

/// Throws xlens::error where one of x is not at most `largest`.
inline void check_held(format_id format, std::string_view what, std::size_t first,
                       rows<const float> x, float largest) {
    for (std::size_t t = 0; t < x.count(); ++t) {
        bool all = true;
        for (const float v : x[t]) { all &= std::abs(v) <= largest; }
        if (all) { continue; }
        for (const float v : x[t]) {
            if (std::abs(v) <= largest) { continue; }
            fail("cache {}: expected {}s of at most {}, got {} at position {} (f32 keeps it)",
                 format_name(format), what, largest, v, first + t);
        }
    }
}

}  // namespace detail

XLENS_API void to_cache(format_id format, std::string_view what, std::size_t first,
                        rows<const float> x, std::byte* to) {
    const std::size_t row = row_format_of(format).size(x.width());
    if (format == format_id::f32) {
        for (std::size_t t = 0; t < x.count(); ++t) { std::memcpy(to + t * row, x[t].data(), row); }
        return;
    }
    const bool halves = format == format_id::f16;
    // The scale of 8 bits is a binary16, too.
    detail::check_held(format, what, first, x, halves ? largest_half : largest_half * 127.0F);
    parallel_for(x.count(), 4 * x.width(), [&](std::size_t t) {
        std::byte* const at = to + t * row;
        halves ? to_half(x[t], reinterpret_cast<std::uint16_t*>(at)) : to_q8_0(x[t], at);
    });
}
#endif

/// A borrowed (count, width) block of rows in one of those formats: what attention reads. Rows of
/// floats convert to it. Columns are cut at blocks.
class cache_rows {
public:
    // NOLINTBEGIN(google-explicit-constructor): borrowing rows is what this type is for.
    cache_rows(rows<const float> x)
        : cache_rows(plain, reinterpret_cast<const std::byte*>(x.data()), x.count(), x.width(),
                     x.stride() * sizeof(float)) {}
    cache_rows(rows<float> x) : cache_rows(rows<const float>(x)) {}
    // NOLINTEND(google-explicit-constructor)
    /// Rows begin `stride` bytes apart. Keeps the address of `format`.
    cache_rows(const row_format& format, const std::byte* data, std::size_t count,
               std::size_t width, std::size_t stride)
        : m_format(&format), m_data(data), m_count(count), m_width(width), m_stride(stride) {}

    [[nodiscard]] std::size_t count() const { return m_count; }
    [[nodiscard]] std::size_t width() const { return m_width; }
    /// The bytes of row i, and how many they are.
    [[nodiscard]] const std::byte* stored(std::size_t i) const { return m_data + i * m_stride; }
    [[nodiscard]] std::size_t row_bytes() const { return m_format->size(m_width); }

    /// Row i as floats: itself, or decoded into `buffer`, of width() floats.
    [[nodiscard]] const float* decoded(std::size_t i, float* buffer) const {
        if (m_format->plain) { return reinterpret_cast<const float*>(stored(i)); }
        m_format->decode(stored(i), {buffer, m_width});
        return buffer;
    }

    /// Themselves, of f32.
    [[nodiscard]] rows<const float> floats() const {
        return {reinterpret_cast<const float*>(m_data), m_count, m_width, m_stride / sizeof(float)};
    }

    /// Rows [first, first + count).
    [[nodiscard]] cache_rows subrows(std::size_t first, std::size_t count) const {
        return {*m_format, stored(first), count, m_width, m_stride};
    }
    /// Columns [first, first + width) of every row; both whole blocks.
    [[nodiscard]] cache_rows columns(std::size_t first, std::size_t width) const {
        return {*m_format, m_data + m_format->size(first), m_count, width, m_stride};
    }

private:
    static constexpr row_format plain{1, sizeof(float), true, nullptr};

    const row_format* m_format;
    const std::byte* m_data;
    std::size_t m_count;
    std::size_t m_width;
    std::size_t m_stride;
};

}  // namespace xlens
