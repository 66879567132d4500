// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/kernels/lanes.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/storage/matrix.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

// The micro-kernels of matmul.hpp, on f32 only: a tile of stored rows is decoded once into the
// calling thread's scratch (f32 rows are used in place) and then meets every position.

namespace xlens::kernels {

/// Stored rows a task decodes: with one position, as many independent sums as hide the latency of a
/// multiply-add (4 cycles, 2 a cycle).
inline constexpr std::size_t tile_rows = 8;
/// Columns of a stored row that one task of a sum of rows owns (a whole block if that is larger).
inline constexpr std::size_t tile_columns = 64;
/// Register block of a product with many positions: rows x positions accumulators, half of them
/// with the 16 registers of AVX2.
inline constexpr std::size_t block_rows = 4;
inline constexpr std::size_t block_positions = lanes >= 16 ? 4 : 2;

namespace detail {

/// Elements [first, first + count) of stored row r as f32: in place where the file holds aligned
/// f32, else decoded into `buffer`.
template <class Format>
const float* decoded(const matrix<Format>& w, std::size_t r, std::size_t first, std::size_t count,
                     float* buffer) {
    const std::byte* source = w.stored_row(r) + matrix<Format>::row_bytes(first);
    if constexpr (std::is_same_v<Format, f32>) {
        if (reinterpret_cast<std::uintptr_t>(source) % alignof(float) == 0) {
            return reinterpret_cast<const float*>(source);
        }
    }
    decode_row<Format>(source, {buffer, count});
    return buffer;
}

struct row_tile_buffer;
struct sum_tile_buffer;

}  // namespace detail

/// Up to tile_rows stored rows as f32; missing ones repeat the last, so that kernels need no
/// special case.
class row_tile {
public:
    template <class Format>
    row_tile(const matrix<Format>& w, std::size_t first, std::size_t count) : m_count(count) {
        const std::size_t n = w.stored_cols();
        float* buffer = scratch<detail::row_tile_buffer>(tile_rows * n);
        for (std::size_t r = 0; r < count; ++r) {
            m_rows[r] = detail::decoded(w, first + r, 0, n, buffer + r * n);
        }
        for (std::size_t r = count; r < tile_rows; ++r) { m_rows[r] = m_rows[count - 1]; }
    }
    [[nodiscard]] std::size_t count() const { return m_count; }
    [[nodiscard]] const float* const* rows() const { return m_rows.data(); }

private:
    std::array<const float*, tile_rows> m_rows{};
    std::size_t m_count;
};

namespace detail {

/// out(p, r) = ⟨w_r, x_p⟩ for R rows and P positions: one accumulator each, walked in steps of a
/// batch, so that every (p, r) is reduced in the same order whatever R and P are.
template <std::size_t R, std::size_t P>
void dot_block(const float* const* w, std::size_t n, rows<const float> x, std::size_t first_x,
               std::array<std::array<float, R>, P>& out) {
    std::array<const float*, P> in;
    for (std::size_t p = 0; p < P; ++p) { in[p] = x[first_x + p].data(); }
    std::array<std::array<batch, R>, P> sum;
    for (auto& row : sum) { row.fill(batch(0.0F)); }

    const auto step = [&](auto load) {
        std::array<batch, R> wv;
        for (std::size_t r = 0; r < R; ++r) { wv[r] = load(w[r]); }
        for (std::size_t p = 0; p < P; ++p) {
            const batch xv = load(in[p]);
            for (std::size_t r = 0; r < R; ++r) { sum[p][r] = xsimd::fma(wv[r], xv, sum[p][r]); }
        }
    };
    const std::size_t whole = n - n % lanes;
    for (std::size_t i = 0; i < whole; i += lanes) {
        step([i](const float* row) { return batch::load_unaligned(row + i); });
    }
    if (whole < n) {
        step([whole, n](const float* row) { return load_partial(row + whole, n - whole, 0.0F); });
    }
    for (std::size_t p = 0; p < P; ++p) {
        for (std::size_t r = 0; r < R; ++r) { out[p][r] = xsimd::hadd(sum[p][r]); }
    }
}

template <std::size_t R, std::size_t P>
void dot_positions(const row_tile& tile, std::size_t first_row, std::size_t n, rows<const float> x,
                   std::size_t first_x, rows<float> y) {
    std::array<std::array<float, R>, P> out;
    dot_block<R, P>(tile.rows() + first_row, n, x, first_x, out);
    for (std::size_t p = 0; p < P; ++p) {
        const std::size_t count = std::min(R, tile.count() - first_row);
        std::copy_n(out[p].begin(), count, &y[first_x + p][first_row]);
    }
}

}  // namespace detail

/// y(t, r) = ⟨tile_r, x_t⟩ for every position t. n elements a row; y has tile.count() columns.
inline void dot_tile(const row_tile& tile, std::size_t n, rows<const float> x, rows<float> y) {
    std::size_t t = 0;
    for (; t + block_positions <= x.count(); t += block_positions) {
        for (std::size_t r = 0; r < tile.count(); r += block_rows) {
            detail::dot_positions<block_rows, block_positions>(tile, r, n, x, t, y);
        }
    }
    for (; t < x.count(); ++t) { detail::dot_positions<tile_rows, 1>(tile, 0, n, x, t, y); }
}

/// y(t, c) = Σ_r x(t, r)·S(r, first + c) for c in [0, count): rows are added in their order, each
/// decoded once for up to `group` positions.
template <class Format>
void sum_tile(const matrix<Format>& w, std::size_t first, std::size_t count, rows<const float> x,
              rows<float> y) {
    constexpr std::size_t group = 32;
    float* buffer = scratch<detail::sum_tile_buffer>(count);
    for (std::size_t t0 = 0; t0 < x.count(); t0 += group) {
        const std::size_t t1 = std::min(x.count(), t0 + group);
        for (std::size_t t = t0; t < t1; ++t) { std::fill_n(y[t].begin(), count, 0.0F); }
        for (std::size_t r = 0; r < w.stored_rows(); ++r) {
            const float* row = detail::decoded(w, r, first, count, buffer);
            for (std::size_t t = t0; t < t1; ++t) {
                const batch scale(x[t][r]);
                float* out = y[t].data();
                std::size_t i = 0;
                for (; i + lanes <= count; i += lanes) {
                    const batch sum = batch::load_unaligned(out + i);
                    xsimd::fma(scale, batch::load_unaligned(row + i), sum).store_unaligned(out + i);
                }
                if (i < count) {
                    const std::size_t rest = count - i;
                    const batch sum = load_partial(out + i, rest, 0.0F);
                    const batch next = xsimd::fma(scale, load_partial(row + i, rest, 0.0F), sum);
                    store_partial(next, out + i, rest);
                }
            }
        }
    }
}

}  // namespace xlens::kernels
