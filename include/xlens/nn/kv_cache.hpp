// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/aligned.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cstddef>

namespace xlens {

/// Keys and values of the positions that one layer has seen, one row of kv_heads·head_size a
/// position. Grows as a std::vector does; the context limit is checked where tokens enter.
class kv_cache {
public:
    explicit kv_cache(std::size_t width) : m_width(width) {}

    [[nodiscard]] std::size_t width() const { return m_width; }
    [[nodiscard]] std::size_t positions() const { return m_keys.size() / m_width; }
    [[nodiscard]] rows<float> keys() { return block(m_keys, 0); }
    [[nodiscard]] rows<float> values() { return block(m_values, 0); }

    /// Forgets what it has and takes the first `count` positions of another.
    void take_first(const kv_cache& other, std::size_t count) {
        const auto end = static_cast<std::ptrdiff_t>(count * m_width);
        m_keys.assign(other.m_keys.begin(), other.m_keys.begin() + end);
        m_values.assign(other.m_values.begin(), other.m_values.begin() + end);
    }

    /// Room for `count` more positions; returns the first of them.
    std::size_t extend(std::size_t count) {
        const std::size_t first = positions();
        m_keys.resize((first + count) * m_width);
        m_values.resize((first + count) * m_width);
        return first;
    }
    /// Keys and values from position `first` on: where new ones are written.
    [[nodiscard]] rows<float> keys_from(std::size_t first) { return block(m_keys, first); }
    [[nodiscard]] rows<float> values_from(std::size_t first) { return block(m_values, first); }

    /// Forgets every position from `count` on.
    void truncate(std::size_t count) {
        if (count < positions()) {
            m_keys.resize(count * m_width);
            m_values.resize(count * m_width);
        }
    }

    /// Positions `first` on become those of the other cache; what stands before is kept, and must
    /// be the same in both: a fork of a sequence costs only what it does not share.
    void copy_from(const kv_cache& other, std::size_t first) {
        const auto copy = [at = first * m_width](const aligned_vector<float>& from,
                                                 aligned_vector<float>& to) {
            to.resize(from.size());
            std::copy(from.begin() + static_cast<std::ptrdiff_t>(at), from.end(),
                      to.begin() + static_cast<std::ptrdiff_t>(at));
        };
        copy(other.m_keys, m_keys);
        copy(other.m_values, m_values);
    }

private:
    rows<float> block(aligned_vector<float>& data, std::size_t first) const {
        return {data.data() + first * m_width, data.size() / m_width - first, m_width};
    }

    std::size_t m_width;
    aligned_vector<float> m_keys;
    aligned_vector<float> m_values;
};

}  // namespace xlens
