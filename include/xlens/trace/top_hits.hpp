// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace xlens {

/// Rows [begin, end) of which a list takes one at most.
struct row_stretch {
    std::size_t begin = 0;
    std::size_t end = 0;
};

/// Many short lists, each of the `top` farthest from zero of a stream of numbers of one sign, the
/// earlier row of equals first, and of each stretch of rows one. Made for lists that nearly nothing
/// enters: whoever offers compares with bar() first.
class top_hits {
public:
    struct hit {
        std::uint32_t row = 0;
        float value = 0.0F;
        std::uint32_t slot = 0;  ///< 0 .. top - 1: one that no other hit of the list has
    };

    top_hits(std::size_t lists, std::size_t top)
        : m_top(top), m_sizes(lists), m_hits(lists * top) {}

    [[nodiscard]] std::size_t top() const { return m_top; }
    [[nodiscard]] std::size_t lists() const { return m_sizes.size(); }
    /// Best first.
    [[nodiscard]] std::span<const hit> of(std::size_t list) const {
        return std::span(m_hits).subspan(list * m_top, m_sizes[list]);
    }
    /// What a number has to be farther from zero than to enter: 0 until the list is full.
    [[nodiscard]] float bar(std::size_t list) const {
        return m_sizes[list] < m_top ? 0.0F : of(list).back().value;
    }

    /// Puts a number where it belongs, in place of the last hit or of that of the same stretch; the
    /// slot that it gets, or nothing where it does not enter. O(top).
    std::optional<std::uint32_t> insert(std::size_t list, std::uint32_t row, float value,
                                        const row_stretch& stretch = {});

private:
    static bool better(const hit& a, const hit& b) {
        const float size_a = std::abs(a.value);
        const float size_b = std::abs(b.value);
        return size_a > size_b || (size_a == size_b && a.row < b.row);
    }

    std::size_t m_top;
    std::vector<std::uint32_t> m_sizes;
    std::vector<hit> m_hits;  // (lists, top)
};

#if XLENS_DEFINES(trace)

XLENS_API std::optional<std::uint32_t> top_hits::insert(std::size_t list, std::uint32_t row,
                                                        float value, const row_stretch& stretch) {
    const std::span<hit> all = std::span(m_hits).subspan(list * m_top, m_top);
    std::uint32_t& size = m_sizes[list];
    hit one{row, value, size};
    std::size_t at = 0;  // of the hit that gives way
    while (at < size && (all[at].row < stretch.begin || all[at].row >= stretch.end)) { ++at; }
    const bool same_stretch = at < size;
    if (!same_stretch && size < m_top) {
        ++size;
    } else {
        if (!same_stretch) { at = size - 1; }
        if (!better(one, all[at])) { return std::nullopt; }
        one.slot = all[at].slot;
    }
    for (; at > 0 && better(one, all[at - 1]); --at) { all[at] = all[at - 1]; }
    all[at] = one;
    return one.slot;
}

#endif

}  // namespace xlens
