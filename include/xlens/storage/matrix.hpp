// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/formats.hpp>
#include <xlens/storage/matrix_view.hpp>

#include <cstddef>

namespace xlens {

/// A stored matrix whose format its type fixes.
template <class Format>
class matrix : public matrix_view {
public:
    using format = Format;

    matrix() = default;
    /// A view that is known to be of this format.
    explicit matrix(const matrix_view& view) : matrix_view(view) {}
    /// `stored_rows` x `stored_cols` elements, `stored_cols` a multiple of the format's block.
    matrix(const std::byte* data, std::size_t stored_rows, std::size_t stored_cols,
           bool transposed = false)
        : matrix_view(row_format_v<Format>, data, stored_rows, stored_cols, transposed) {}

    [[nodiscard]] static constexpr std::size_t row_bytes(std::size_t elements) {
        return row_format_v<Format>.size(elements);
    }

    /// These rows of W, without a copy; see matrix_view.
    [[nodiscard]] matrix group_rows(const row_groups& rows) const {
        return matrix(matrix_view::group_rows(rows));
    }
    /// Rows [first, first + count) of W, without a copy.
    [[nodiscard]] matrix slice_rows(std::size_t first, std::size_t count) const {
        return group_rows({first, count, count, count});
    }
    /// Itself: products with a matrix of a fixed format are f32 unless told otherwise.
    [[nodiscard]] const matrix& in_f32() const { return *this; }
    /// Wᵀ, without a copy.
    [[nodiscard]] matrix transpose() const { return matrix(matrix_view::transpose()); }
};

/// A dense (rows, cols) tensor as a weight matrix, in place.
inline matrix<f32> as_matrix(const xt::xtensor<float, 2>& w) {
    return {reinterpret_cast<const std::byte*>(w.data()), w.shape(0), w.shape(1)};
}

}  // namespace xlens
