// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/core/unroll.hpp>
#include <xlens/core/words.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/dot_tile.hpp>
#include <xlens/kernels/packed_inputs.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/storage/matrix_view.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <utility>

// The products of kernels/dot_tile.hpp for many positions where there are 16 registers, and those
// of keys with many queries (kernels/packed_keys.hpp): the same sums in the same order, hence the
// same bits, but a register holds one lane's sums of as many rows as it has lanes, and an element
// of an input meets them by a broadcast (Goto and van de Geijn, "Anatomy of high-performance matrix
// multiplication", 2008). Two batches of rows and six positions are 12 sums, two registers of W and
// one of x: 8 loads for 12 multiply-adds, of which only the rows' come in at a rate that matters.
// Lane by lane, in the order in which fold adds lanes up, sums are added to those of the lanes
// before.

namespace xlens::kernels::detail {

inline constexpr std::size_t panel_batches = blocking::panel_batches;
inline constexpr std::size_t panel_rows = panel_batches * lanes;
/// Sums of a register block: positions × batches of rows.
using panel_sums = std::array<batch, blocking::panel_positions * panel_batches>;

/// What one lane takes of some inputs: of packed ones, which stand side by side,
struct packed_lane {
    const float* from;

    [[gnu::always_inline]] float of(std::size_t p) const { return from[p]; }
    [[gnu::always_inline]] void advance() { from += blocking::panel_positions; }
};
/// or of inputs as they are, every `lanes` elements one.
struct lane_of_rows {
    std::array<const float*, blocking::panel_positions> from;
    std::size_t at;

    [[gnu::always_inline]] float of(std::size_t p) const { return from[p][at]; }
    [[gnu::always_inline]] void advance() { at += lanes; }
};

/// Σ_j w(j, r)·x(j, p) over `steps` elements of one lane, for every position p and row r.
template <class Lane>
[[gnu::always_inline]] inline panel_sums panel_block(const float* w, Lane x, std::size_t steps) {
    constexpr std::size_t P = blocking::panel_positions;
    constexpr std::size_t B = panel_batches;
    panel_sums sum;
    unrolled<P * B>([&](auto i) XLENS_INLINE { sum[i] = batch(0.0F); });
#pragma GCC unroll 2
    for (std::size_t j = 0; j < steps; ++j, w += panel_rows, x.advance()) {
        std::array<batch, B> wv;
        unrolled<B>([&](auto b) XLENS_INLINE {
            batch loaded = batch::load_unaligned(w + b * lanes);
            keep_in_register(loaded);
            wv[b] = loaded;
        });
        unrolled<P>([&](auto p) XLENS_INLINE {
            const batch xv(x.of(p));
            unrolled<B>([&](auto b) XLENS_INLINE {
                sum[p * B + b] = multiply_add(wv[b], xv, sum[p * B + b]);
            });
        });
    }
    panel_sums out;  // its own, so that sum stays in registers
    unrolled<P * B>([&](auto i) XLENS_INLINE { out[i] = sum[i]; });
    return out;
}

/// As many rows of n floats as a batch has lanes, n whole batches, to where those from the r-th on
/// of a panel are: of each panel of panel_rows rows, lane by lane in the order of lane_of_fold, the
/// elements that this lane takes, and of each the panel's rows.
inline void pack_rows(const std::array<const float*, lanes>& in, std::size_t n, float* panel,
                      std::size_t r) {
    const std::size_t steps = panel_steps(n);
    for (std::size_t j = 0; j < steps; ++j) {
        std::array<batch, lanes> x;
        unrolled<lanes>([&](auto i)
                            XLENS_INLINE { x[i] = batch::load_unaligned(in[i] + j * lanes); });
        transpose(x);
        unrolled<lanes>([&](auto i) XLENS_INLINE {
            x[lane_of_fold(i)].store_unaligned(panel + (i * steps + j) * panel_rows + r);
        });
    }
}

/// Sums of a panel's rows and panel_positions inputs, lane by lane: the i-th are added to as many
/// sums before as i ends in ones, as a binary counter carries; the last are given to put.
class sums_by_lanes {
public:
    template <std::size_t i, class Put>
    [[gnu::always_inline]] void add(panel_sums sums, Put put) {
        constexpr std::size_t levels = std::bit_width(lanes) - 1;
        constexpr std::size_t carries = std::countr_one(i);
        unrolled<carries>([&](auto level) XLENS_INLINE {
            const panel_sums& before = m_waiting[level];
            unrolled<sums.size()>([&](auto k) XLENS_INLINE { sums[k] += before[k]; });
        });
        if constexpr (carries < levels) {
            panel_sums& wait = m_waiting[carries];
            unrolled<sums.size()>([&](auto k) XLENS_INLINE { wait[k] = sums[k]; });
        } else {
            put(sums);
        }
    }

private:
    std::array<panel_sums, std::bit_width(lanes) - 1> m_waiting;
};

/// y(p, r) := or += the sums of y.count() positions and the y.width() rows from `first` on.
inline void put_panel(const panel_sums& sums, std::size_t first, rows<float> y, bool add) {
    for (std::size_t p = 0; p < y.count(); ++p) {
        alignas(cache_line) std::array<float, panel_rows> values;
        for (std::size_t b = 0; b < panel_batches; ++b) {
            sums[p * panel_batches + b].store_unaligned(&values[b * lanes]);
        }
        put<panel_rows>(values.data() + first, y[p], add);
    }
}

struct panel_buffer;
struct panel_rows_buffer;

/// Up to dot_tile_rows stored rows over up to `depth` of their elements as f32, packed (pack_rows).
class panel_tile {
public:
    panel_tile(const matrix_view& w, std::size_t first_row, std::size_t count, std::size_t begin,
               std::size_t n)
        : m_count(count),
          m_steps(panel_steps(n)),
          m_panels(scratch<panel_buffer>(most_rows * blocking::depth)) {
        for (std::size_t r = 0; r < count; r += lanes) {
            const std::size_t some = std::min(lanes, count - r);
            pack_rows(padded_rows(w, first_row + r, some, begin, n), n, panel(r), r % panel_rows);
        }
    }

    /// y(t, r) := or += ⟨row r, x_t⟩, y (T, count). x is what the run that begins at element
    /// `begin` holds.
    void meet(const packed_inputs& x, std::size_t begin, rows<float> y, bool add) const {
        constexpr std::size_t group = packed_inputs::group_positions;
        for (std::size_t g = 0; g < x.groups(); ++g) {
            const std::size_t some = std::min(group, y.count() - g * group);
            for (std::size_t r = 0; r < m_count; r += panel_rows) {
                const std::size_t width = std::min(panel_rows, m_count - r);
                meet_group(r, x.group(g, begin), y.subrows(g * group, some).columns(r, width), add);
            }
        }
    }

private:
    static constexpr std::size_t most_rows =
        (blocking::dot_tile_rows + panel_rows - 1) / panel_rows * panel_rows;
    using some_rows = std::array<const float*, lanes>;

    /// Rows as f32, filled up with zeros to whole batches; missing ones repeat the first.
    static some_rows padded_rows(const matrix_view& w, std::size_t first, std::size_t count,
                                 std::size_t begin, std::size_t n) {
        constexpr std::size_t stride = blocking::depth + lanes;
        float* buffer = scratch<panel_rows_buffer>(lanes * stride);
        const std::size_t padded = panel_steps(n) * lanes;
        some_rows out;
        for (std::size_t i = 0; i < count; ++i) {
            float* own = buffer + i * stride;
            out[i] = w.decoded(first + i, begin, n, own);
            if (padded == n) { continue; }
            if (out[i] != own) { std::copy_n(out[i], n, own); }
            std::fill(own + n, own + padded, 0.0F);
            out[i] = own;
        }
        std::fill(out.begin() + static_cast<std::ptrdiff_t>(count), out.end(), out[0]);
        return out;
    }

    /// The panel of row r.
    [[nodiscard]] float* panel(std::size_t r) const {
        return m_panels + r / panel_rows * panel_rows * lanes * m_steps;
    }

    /// One panel of rows and the panels of a group: the lane's part of the rows stays in level 1.
    void meet_group(std::size_t r, const float* x, rows<float> y, bool add) const {
        constexpr std::size_t P = blocking::panel_positions;
        std::array<sums_by_lanes, packed_inputs::together> sums;
        const float* w = panel(r);
        unrolled<lanes>([&](auto i) XLENS_INLINE {
            const float* from = x + i * packed_inputs::group_positions * m_steps;
            for (std::size_t t = 0; t < y.count(); t += P, from += P * m_steps) {
                sums[t / P].template add<i>(
                    panel_block(w + i * panel_rows * m_steps, packed_lane{from}, m_steps),
                    [&](const panel_sums& all) XLENS_INLINE {
                        put_panel(all, 0, y.subrows(t, std::min(P, y.count() - t)), add);
                    });
            }
        });
    }

    std::size_t m_count;
    std::size_t m_steps;
    float* m_panels;
};

}  // namespace xlens::kernels::detail
