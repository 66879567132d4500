// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/core/simd.hpp>
#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/lanes.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>

namespace xlens::kernels {

namespace detail {

/// Which lane is the i-th of a fold (kernels/fold.hpp) that is done depth first: of 8 lanes 0, 4,
/// 2, 6, 1, 5, 3, 7, so that sums that are added to each other come one after the other.
constexpr std::size_t lane_of_fold(std::size_t i) {
    std::size_t out = 0;
    for (std::size_t bit = 1; bit < lanes; bit *= 2) { out = 2 * out + i / bit % 2; }
    return out;
}

/// Lane j of x[i] becomes lane i of x[j], by log2(lanes) rounds in which the first half of the
/// batches is zipped with the second.
[[gnu::always_inline]] inline void transpose(std::array<batch, lanes>& x) {
    for (std::size_t round = 1; round < lanes; round *= 2) {
        std::array<batch, lanes> next;
        unrolled<lanes / 2>([&](auto i) XLENS_INLINE {
            const batch& a = x[i];
            const batch& b = x[i + lanes / 2];
            next[2 * i] = zip<0>(a, b);
            next[2 * i + 1] = zip<lanes / 2>(a, b);
        });
        x = next;
    }
}

/// Elements of a row that one lane takes, of n.
constexpr std::size_t panel_steps(std::size_t n) { return (n + lanes - 1) / lanes; }

}  // namespace detail

/// Inputs of a product as its register blocks (kernels/panel_tile.hpp) read them, one after the
/// other: of each run of blocking::depth elements, of each group of positions, lane by lane in the
/// order of detail::lane_of_fold, panel by panel, the elements that this lane takes, and of each
/// the panel's positions. What is missing of a panel or of a lane is zeros. Packed once for all
/// rows of W.
class packed_inputs {
public:
    static constexpr std::size_t positions = blocking::panel_positions;  ///< of a panel
    static constexpr std::size_t together = blocking::panels_together;   ///< panels of a group
    static constexpr std::size_t group_positions = positions * together;

    /// x (T, n). Memory: that of x, filled up to whole groups and lanes.
    explicit packed_inputs(rows<const float> x)
        : m_width(x.width()),
          m_groups((x.count() + group_positions - 1) / group_positions),
          m_floats(std::make_unique_for_overwrite<float[]>(m_groups * group_positions *
                                                           detail::panel_steps(m_width) * lanes)) {
        parallel_for(m_groups, 8 * group_positions * m_width, [&](std::size_t g) {
            const std::size_t first = g * group_positions;
            const std::size_t count = std::min(group_positions, x.count() - first);
            for (std::size_t i = 0; i < m_width; i += blocking::depth) {
                pack(x.subrows(first, count).columns(i, run(i)), &m_floats[at(g, i)]);
            }
        });
    }

    [[nodiscard]] std::size_t groups() const { return m_groups; }
    /// Group g of the run that begins at element `begin`.
    [[nodiscard]] const float* group(std::size_t g, std::size_t begin) const {
        return &m_floats[at(g, begin)];
    }

private:
    [[nodiscard]] std::size_t run(std::size_t begin) const {
        return std::min(blocking::depth, m_width - begin);
    }
    [[nodiscard]] std::size_t at(std::size_t g, std::size_t begin) const {
        const std::size_t own = detail::panel_steps(run(begin)) * lanes;
        return group_positions * (m_groups * begin + g * own);
    }

    /// Batches of elements of as many rows are turned round together.
    static void pack(rows<const float> x, float* to) {
        const std::size_t n = x.width();
        const std::size_t steps = detail::panel_steps(n);
        for (std::size_t t = 0; t < x.count(); t += positions) {
            for (std::size_t p = 0; p < positions; p += lanes) {
                const std::size_t first = std::min(t + p, x.count());
                const std::size_t count = std::min({lanes, positions - p, x.count() - first});
                float* out = to + t * steps + p;
                for (std::size_t j = 0; j < steps; ++j, out += positions) {
                    const auto turned = turn(x.subrows(first, count), j * lanes);
                    unrolled<lanes>([&](auto i) XLENS_INLINE {
                        store_partial(turned[detail::lane_of_fold(i)],
                                      out + i * group_positions * steps,
                                      std::min(lanes, positions - p));
                    });
                }
            }
        }
    }
    /// Lane r of batch l = x(r, first + l), or 0 where there is no such row or element.
    [[gnu::always_inline]] static std::array<batch, lanes> turn(rows<const float> x,
                                                                std::size_t first) {
        const std::size_t left = x.width() - first;
        std::array<batch, lanes> out;
        unrolled<lanes>([&](auto r) XLENS_INLINE {
            if (r >= x.count()) {
                out[r] = batch(0.0F);
            } else if (left >= lanes) {
                out[r] = batch::load_unaligned(x[r].data() + first);
            } else {
                out[r] = load_partial(x[r].data() + first, left, 0.0F);
            }
        });
        detail::transpose(out);
        return out;
    }

    std::size_t m_width;
    std::size_t m_groups;
    std::unique_ptr<float[]> m_floats;
};

}  // namespace xlens::kernels
