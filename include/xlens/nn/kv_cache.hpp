// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/aligned.hpp>
#include <xlens/storage/cache_rows.hpp>
#include <xlens/storage/format_id.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace xlens {

/// Keys and values of the positions that one layer has seen, one row of kv_heads·head_size a
/// position, in one of the formats of storage/cache_rows.hpp. Grows as a std::vector does; the
/// context limit is checked where tokens enter.
class kv_cache {
public:
    /// The format passes check_cache_format.
    explicit kv_cache(std::size_t width, format_id format = format_id::f32)
        : m_rows(&row_format_of(format)),
          m_format(format),
          m_width(width),
          m_row(m_rows->size(width)) {}

    [[nodiscard]] std::size_t width() const { return m_width; }
    [[nodiscard]] format_id format() const { return m_format; }
    [[nodiscard]] std::size_t positions() const { return m_keys.size() / m_row; }
    [[nodiscard]] cache_rows keys() const { return block(m_keys); }
    [[nodiscard]] cache_rows values() const { return block(m_values); }

    /// Forgets what it has and takes the first `count` positions of another, of the same format.
    void take_first(const kv_cache& other, std::size_t count) {
        const auto end = static_cast<std::ptrdiff_t>(count * m_row);
        m_keys.assign(other.m_keys.begin(), other.m_keys.begin() + end);
        m_values.assign(other.m_values.begin(), other.m_values.begin() + end);
    }

    /// Room for `count` more positions; returns the first of them.
    std::size_t extend(std::size_t count) {
        const std::size_t first = positions();
        m_keys.resize((first + count) * m_row);
        m_values.resize((first + count) * m_row);
        return first;
    }

    /// Keys and values of some positions, (T, width).
    struct fresh {
        rows<float> keys;
        rows<float> values;
    };
    /// Where those of positions `first` on are to be written before `keep`: the cache itself where
    /// it is f32, else these tensors, which are given their size.
    [[nodiscard]] fresh write_at(std::size_t first, aligned_tensor& keys, aligned_tensor& values) {
        const std::size_t count = positions() - first;
        if (m_format == format_id::f32) {
            return {{floats(m_keys, first), count, m_width},
                    {floats(m_values, first), count, m_width}};
        }
        keys.resize({count, m_width});
        values.resize({count, m_width});
        return {keys, values};
    }
    /// Takes these as the keys and values of positions `first` on, rounded to the format. Nothing
    /// is done where they stand there already. Throws xlens::error for a number that the format
    /// cannot hold.
    void keep(std::size_t first, rows<const float> keys, rows<const float> values) {
        keep_rows("key", keys, first, m_keys);
        keep_rows("value", values, first, m_values);
    }

    /// Forgets every position from `count` on.
    void truncate(std::size_t count) {
        if (count < positions()) {
            m_keys.resize(count * m_row);
            m_values.resize(count * m_row);
        }
    }

    /// Positions `first` on become those of the other cache, of the same format; what stands before
    /// is kept, and must be the same in both: a fork of a sequence costs only what it does not
    /// share.
    void copy_from(const kv_cache& other, std::size_t first) {
        const auto copy = [at = static_cast<std::ptrdiff_t>(first * m_row)](const bytes& from,
                                                                            bytes& to) {
            to.resize(from.size());
            std::copy(from.begin() + at, from.end(), to.begin() + at);
        };
        copy(other.m_keys, m_keys);
        copy(other.m_values, m_values);
    }

private:
    using bytes = aligned_vector<std::byte>;

    [[nodiscard]] cache_rows block(const bytes& data) const {
        return {*m_rows, data.data(), positions(), m_width, m_row};
    }
    [[nodiscard]] float* floats(bytes& data, std::size_t first) const {
        return reinterpret_cast<float*>(data.data() + first * m_row);
    }
    void keep_rows(std::string_view what, rows<const float> x, std::size_t first, bytes& to) const {
        if (x.data() == floats(to, first)) { return; }
        to_cache(m_format, what, first, x, to.data() + first * m_row);
    }

    const row_format* m_rows;
    format_id m_format;
    std::size_t m_width;
    std::size_t m_row;  // bytes
    bytes m_keys;
    bytes m_values;
};

}  // namespace xlens
