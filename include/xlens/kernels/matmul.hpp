// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/kernels/tile.hpp>
#include <xlens/storage/any_matrix.hpp>
#include <xlens/storage/matrix.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cstddef>
#include <span>

// Products with a stored weight matrix W of shape (rows, cols), for a batch of T positions:
//   matmul             y_t = W·x_t     x (T, cols), y (T, rows)
//   matmul_transposed  y_t = Wᵀ·x_t    x (T, rows), y (T, cols)
// A stored row either meets a whole input (a dot product an output) or is scaled by one element of
// it (a sum of rows); which of the two a product is depends on the storage order alone.
// Each output element is reduced by one thread in one fixed order, the same for any T, number of
// threads and alignment: a prefill gives the bits of a decode.

namespace xlens::kernels {

namespace detail {

/// y(t, r) = ⟨S_r, x_t⟩ over the stored rows S_r. Cost 2·T·rows·cols.
template <class Format>
void stored_dots(const matrix<Format>& w, rows<const float> x, rows<float> y) {
    const std::size_t n = w.stored_cols();
    const std::size_t tiles = (w.stored_rows() + tile_rows - 1) / tile_rows;
    parallel_for(tiles, 2 * tile_rows * n * x.count(), [&](std::size_t tile) {
        const std::size_t first = tile * tile_rows;
        const std::size_t count = std::min(tile_rows, w.stored_rows() - first);
        const row_tile decoded(w, first, count);
        dot_tile(decoded, n, x, y.columns(first, count));
    });
}

/// y(t, c) = Σ_r x(t, r)·S(r, c) over the stored rows S_r. Cost 2·T·rows·cols.
template <class Format>
void stored_sums(const matrix<Format>& w, rows<const float> x, rows<float> y) {
    constexpr std::size_t width = std::max<std::size_t>(Format::block, tile_columns);
    const std::size_t tiles = (w.stored_cols() + width - 1) / width;
    parallel_for(tiles, 2 * width * w.stored_rows() * x.count(), [&](std::size_t tile) {
        const std::size_t first = tile * width;
        const std::size_t count = std::min(width, w.stored_cols() - first);
        sum_tile(w, first, count, x, y.columns(first, count));
    });
}

/// In debug builds: x must have `inputs` columns and y `outputs`, and both as many rows.
inline void check_shapes([[maybe_unused]] std::size_t outputs, [[maybe_unused]] std::size_t inputs,
                         [[maybe_unused]] rows<const float> x, [[maybe_unused]] rows<float> y) {
#ifndef NDEBUG
    if (x.width() != inputs || y.width() != outputs || x.count() != y.count()) {
        fail("matmul: x ({}, {}) and y ({}, {}), expected x (T, {}) and y (T, {})", x.count(),
             x.width(), y.count(), y.width(), inputs, outputs);
    }
#endif
}

}  // namespace detail

/// y_t = W·x_t for every row x_t of x. x (T, cols), y (T, rows).
template <class Format>
void matmul(const matrix<Format>& w, rows<const float> x, rows<float> y) {
    detail::check_shapes(w.rows(), w.cols(), x, y);
    w.transposed() ? detail::stored_sums(w, x, y) : detail::stored_dots(w, x, y);
}

/// y_t = Wᵀ·x_t for every row x_t of x. x (T, rows), y (T, cols).
template <class Format>
void matmul_transposed(const matrix<Format>& w, rows<const float> x, rows<float> y) {
    detail::check_shapes(w.cols(), w.rows(), x, y);
    w.transposed() ? detail::stored_dots(w, x, y) : detail::stored_sums(w, x, y);
}

inline void matmul(const any_matrix& w, rows<const float> x, rows<float> y) {
    w.visit([&](const auto& m) { matmul(m, x, y); });
}
inline void matmul_transposed(const any_matrix& w, rows<const float> x, rows<float> y) {
    w.visit([&](const auto& m) { matmul_transposed(m, x, y); });
}

/// y = W·x. x (cols), y (rows). The bits of matmul with T = 1.
template <class Weights>
void matvec(const Weights& w, std::span<const float> x, std::span<float> y) {
    matmul(w, as_rows(x), as_rows(y));
}

/// y = Wᵀ·x. x (rows), y (cols).
template <class Weights>
void matvec_transposed(const Weights& w, std::span<const float> x, std::span<float> y) {
    matmul_transposed(w, as_rows(x), as_rows(y));
}

}  // namespace xlens::kernels
