// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/hooks/policy.hpp>
#include <xlens/interventions/patch_values.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

// What a grid of heads (interventions/patch_grid.hpp) changes in a layer.

namespace xlens::detail {

/// The sites of head_outputs among some places.
inline std::vector<layer_site> head_sites(std::span<const layer_site> places) {
    std::vector<layer_site> out;
    for (const layer_site& p : places) {
        if (p.site == hook::head_outputs) { out.push_back(p); }
    }
    return out;
}

/// Policy of one layer's pass over branches: of branch n, one head's numbers become another's, at
/// some positions.
class put_heads {
public:
    static constexpr hook hooks = hook::head_outputs;

    /// heads[n]: that of branch n, of `size` numbers; values.at(place, p): those of all heads.
    put_heads(std::vector<std::size_t> heads, std::size_t size,
              std::span<const std::size_t> positions, const patch_values& values, std::size_t place)
        : m_heads(std::move(heads)),
          m_size(size),
          m_positions(positions),
          m_values(&values),
          m_place(place) {}

    void head_outputs(const site& where, rows<float> z) {
        const std::size_t at = m_heads[m_branch++] * m_size;
        for (const std::size_t p : m_positions) {
            if (p < where.first_position) { continue; }
            const auto theirs = m_values->at(m_place, p).subspan(at, m_size);
            std::ranges::copy(theirs, z[p - where.first_position].subspan(at).begin());
        }
    }

private:
    std::vector<std::size_t> m_heads;
    std::size_t m_size;
    std::span<const std::size_t> m_positions;
    const patch_values* m_values;
    std::size_t m_place;
    std::size_t m_branch = 0;
};

}  // namespace xlens::detail
