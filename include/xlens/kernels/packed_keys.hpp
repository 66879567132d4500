// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/lanes.hpp>
#include <xlens/kernels/packed_inputs.hpp>
#include <xlens/kernels/panel_tile.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/storage/cache_rows.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <array>
#include <cstddef>

// Keys that many queries meet: those of a layer as f32, packed once for all queries and all heads
// that share them. The bits are those of kernels/dot_tile.hpp.

namespace xlens::kernels::detail {

struct packed_keys_buffer;
struct packed_rows_buffer;

class packed_keys {
public:
    /// Whether so many queries are worth it. Heads are whole batches.
    static bool pays(std::size_t queries, std::size_t head_size) {
        return queries >= blocking::attention_positions && head_size % lanes == 0;
    }

    /// Of heads of `size` elements. Memory, of the calling thread until it packs others: that of
    /// the keys as floats.
    packed_keys(const cache_rows& keys, std::size_t size)
        : m_steps(panel_steps(size)),
          m_panels((keys.count() + panel_rows - 1) / panel_rows),
          m_floats(scratch<packed_keys_buffer>(keys.width() / size * m_panels * panel_floats())) {
        parallel_for(keys.width() / size * m_panels, 8 * panel_floats(), [&](std::size_t i) {
            const std::size_t first = i % m_panels * panel_rows;
            pack(keys.columns(i / m_panels * size, size)
                     .subrows(first, std::min(panel_rows, keys.count() - first)),
                 m_floats + i * panel_floats());
        });
    }

    /// y(t, s) := ⟨q_t, k_(first + s)⟩ of key-value head g. queries (T, size), y (T, keys).
    void meet(std::size_t g, std::size_t first, rows<const float> queries, rows<float> y) const {
        const std::size_t end = first + y.width();
        for (std::size_t s = first; s < end; s = (s / panel_rows + 1) * panel_rows) {
            const std::size_t skip = s % panel_rows;
            const std::size_t count = std::min(panel_rows - skip, end - s);
            meet_panel(m_floats + (g * m_panels + s / panel_rows) * panel_floats(), skip, queries,
                       y.columns(s - first, count));
        }
    }

private:
    [[nodiscard]] std::size_t panel_floats() const { return panel_rows * lanes * m_steps; }

    /// Missing keys repeat the last.
    static void pack(const cache_rows& keys, float* panel) {
        const std::size_t n = keys.width();
        float* const buffer = scratch<packed_rows_buffer>(lanes * n);
        for (std::size_t r = 0; r < panel_rows; r += lanes) {
            std::array<const float*, lanes> in;
            for (std::size_t i = 0; i < lanes; ++i) {
                in[i] = keys.decoded(std::min(r + i, keys.count() - 1), buffer + i * n);
            }
            pack_rows(in, n, panel, r);
        }
    }

    /// The keys from `skip` on of a panel; missing queries repeat the last.
    void meet_panel(const float* panel, std::size_t skip, rows<const float> queries,
                    rows<float> y) const {
        constexpr std::size_t P = blocking::panel_positions;
        for (std::size_t t = 0; t < queries.count(); t += P) {
            const std::size_t some = std::min(P, queries.count() - t);
            lane_of_rows x{};
            for (std::size_t p = 0; p < P; ++p) {
                x.from[p] = queries[t + std::min(p, some - 1)].data();
            }
            sums_by_lanes sums;
            unrolled<lanes>([&](auto i) XLENS_INLINE {
                x.at = lane_of_fold(i);
                sums.template add<i>(panel_block(panel + i * panel_rows * m_steps, x, m_steps),
                                     [&](const panel_sums& all) XLENS_INLINE {
                                         put_panel(all, skip, y.subrows(t, some), false);
                                     });
            });
        }
    }

    std::size_t m_steps;
    std::size_t m_panels;
    float* m_floats;
};

}  // namespace xlens::kernels::detail
