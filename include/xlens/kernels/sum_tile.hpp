// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/storage/cache_rows.hpp>
#include <xlens/storage/matrix.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <array>
#include <cstddef>

// Products in which every stored row is scaled by one element of an input and added up:
// y(t, c) = Σ_r x(t, r)·S(r, c), the rows in their order.

namespace xlens::kernels::detail {

/// Columns of a register block.
inline constexpr std::size_t sum_columns = blocking::sum_batches * lanes;

/// y_p += Σ_r x_p[r]·w_r over `count` rows for P positions and sum_columns columns, which are
/// read from w + `column`. y may be narrower than that.
template <std::size_t P>
void sum_block(const float* const* w, std::size_t column, std::size_t count, rows<const float> x,
               rows<float> y) {
    constexpr std::size_t B = blocking::sum_batches;
    std::array<std::array<float, sum_columns>, P> out{};
    for (std::size_t p = 0; p < P; ++p) { std::copy(y[p].begin(), y[p].end(), out[p].begin()); }
    std::array<batch, P * B> sum;
    unrolled<P * B>(
        [&](auto i) XLENS_INLINE { sum[i] = batch::load_unaligned(&out[i / B][i % B * lanes]); });
    std::array<const float*, P> scale;
    unrolled<P>([&](auto p) XLENS_INLINE { scale[p] = x[p].data(); });
    for (std::size_t r = 0; r < count; ++r) {
        const float* row = w[r] + column;
        std::array<batch, B> wv;
        unrolled<B>([&](auto b) XLENS_INLINE { wv[b] = batch::load_unaligned(row + b * lanes); });
        unrolled<P>([&](auto p) XLENS_INLINE {
            const batch s(scale[p][r]);
            unrolled<B>([&](auto b) XLENS_INLINE {
                sum[p * B + b] = multiply_add(s, wv[b], sum[p * B + b]);
            });
        });
    }
    unrolled<P * B>([&](auto i)
                        XLENS_INLINE { sum[i].store_unaligned(&out[i / B][i % B * lanes]); });
    for (std::size_t p = 0; p < P; ++p) { std::copy_n(out[p].begin(), y.width(), y[p].begin()); }
}

struct sum_tile_buffer;

/// Up to sum_tile_rows stored rows over `width` of their columns as f32, followed by zeros up to a
/// whole register block.
class sum_tile {
public:
    sum_tile(const matrix_view& w, std::size_t first_row, std::size_t count, std::size_t column,
             std::size_t width)
        : m_count(count) {
        place(width, [&](std::size_t r, float* buffer) {
            return w.decoded(first_row + r, column, width, buffer);
        });
    }
    /// Rows of a cache, up to sum_tile_rows.
    explicit sum_tile(const cache_rows& w) : m_count(w.count()) {
        place(w.width(), [&](std::size_t r, float* buffer) { return w.decoded(r, buffer); });
    }

    /// y_t += Σ_r x_t[r]·row_r, x (T, count), y (T, width).
    void add_to(rows<const float> x, rows<float> y) const {
        std::size_t t = 0;
        for (; t + blocking::sum_positions <= x.count(); t += blocking::sum_positions) {
            add_some<blocking::sum_positions>(x, y, t);
        }
        for (; t + 3 <= x.count(); t += 3) { add_some<3>(x, y, t); }
        for (; t < x.count(); ++t) { add_some<1>(x, y, t); }
    }

private:
    /// Row r = row_at(r, buffer), which may be the buffer. Copies it where a register block would
    /// read past its end.
    template <class RowAt>
    void place(std::size_t width, RowAt row_at) {
        const std::size_t padded = (width + sum_columns - 1) / sum_columns * sum_columns;
        float* buffer = scratch<sum_tile_buffer>(m_count * padded);
        for (std::size_t r = 0; r < m_count; ++r) {
            float* const copy = buffer + r * padded;
            m_rows[r] = row_at(r, copy);
            if (padded == width) { continue; }
            if (m_rows[r] != copy) { std::copy_n(m_rows[r], width, copy); }
            std::fill(copy + width, copy + padded, 0.0F);
            m_rows[r] = copy;
        }
    }

    template <std::size_t P>
    void add_some(rows<const float> x, rows<float> y, std::size_t t) const {
        for (std::size_t c = 0; c < y.width(); c += sum_columns) {
            sum_block<P>(m_rows.data(), c, m_count, x.subrows(t, P),
                         y.subrows(t, P).columns(c, std::min(sum_columns, y.width() - c)));
        }
    }

    std::array<const float*, blocking::sum_tile_rows> m_rows{};
    std::size_t m_count;
};

}  // namespace xlens::kernels::detail
