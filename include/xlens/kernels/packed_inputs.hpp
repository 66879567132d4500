// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/aligned.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/simd.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cstddef>

namespace xlens::kernels {

namespace detail {

/// Which lane is the i-th of a fold (kernels/fold.hpp) that is done depth first: of 8 lanes 0, 4,
/// 2, 6, 1, 5, 3, 7, so that sums that are added to each other come one after the other.
constexpr std::size_t lane_of_fold(std::size_t i) {
    std::size_t out = 0;
    for (std::size_t bit = 1; bit < lanes; bit *= 2) { out = 2 * out + i / bit % 2; }
    return out;
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
          m_floats(m_groups * group_positions * detail::panel_steps(m_width) * lanes) {
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

    static void pack(rows<const float> x, float* to) {
        const std::size_t n = x.width();
        const std::size_t steps = detail::panel_steps(n);
        for (std::size_t i = 0; i < lanes; ++i) {
            const std::size_t lane = detail::lane_of_fold(i);
            for (std::size_t t = 0; t < x.count(); ++t) {
                const std::size_t panel = i * together + t / positions;
                float* out = to + panel * steps * positions + t % positions;
                const float* row = x[t].data();
                for (std::size_t k = lane; k < n; k += lanes, out += positions) { *out = row[k]; }
            }
        }
    }

    std::size_t m_width;
    std::size_t m_groups;
    aligned_vector<float> m_floats;
};

}  // namespace xlens::kernels
