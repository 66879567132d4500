// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/aligned.hpp>
#include <xlens/kernels/blocking.hpp>

#include <cstddef>

namespace xlens::kernels {

/// Asks for `bytes` of memory into level 2; what is not there does no harm.
/// Inline always: a call of a function that only prefetches would be removed as one without
/// effects.
[[gnu::always_inline]] inline void prefetch(const void* from, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; i += cache_line) {
        __builtin_prefetch(static_cast<const std::byte*>(from) + i, 0, blocking::prefetch_level_2);
    }
}

/// Rows that will be read soon, asked for a few lines at a time between other work: a processor has
/// room for some twenty lines on their way, and more would hold up what it is doing.
class coming_rows {
public:
    coming_rows() = default;
    coming_rows(const std::byte* first, std::size_t count, std::size_t bytes, std::size_t stride)
        : m_row(first), m_count(count), m_bytes(bytes), m_stride(stride) {}

    [[nodiscard]] std::size_t lines() const {
        return m_count * ((m_bytes + cache_line - 1) / cache_line);
    }
    void prefetch_some(std::size_t lines) {
        for (; lines > 0 && m_count > 0; --lines) {
            __builtin_prefetch(m_row + m_at, 0, blocking::prefetch_level_2);
            m_at += cache_line;
            if (m_at >= m_bytes) {
                m_at = 0;
                m_row += m_stride;
                --m_count;
            }
        }
    }

private:
    const std::byte* m_row = nullptr;
    std::size_t m_count = 0;
    std::size_t m_bytes = 0;
    std::size_t m_stride = 0;
    std::size_t m_at = 0;  // within the row
};

}  // namespace xlens::kernels
