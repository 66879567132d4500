// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/formats.hpp>

#include <cstddef>
#include <span>
#include <vector>

namespace xlens {

/// Some rows of a matrix, in groups: row r is row first + (r / group)·step + r % group of it.
/// A plain range is one group; GPT-NeoX interleaves query, key and value rows head by head, with
/// group = head size and step = 3·head size.
struct row_groups {
    std::size_t first = 0;
    std::size_t group = 0;
    std::size_t step = 0;
    std::size_t count = 0;

    [[nodiscard]] std::size_t operator()(std::size_t r) const {
        return first + r / group * step + r % group;
    }
};

/// All of a stored matrix but its format: (rows, cols) = (outputs, inputs), so that a layer computes
/// y = W·x, in the bytes of a mapped file. When `transposed()`, the file holds Wᵀ, one stored row an
/// input (GPT-2's Conv1D); everything else is the same. Borrows; nothing is copied.
class matrix_view {
public:
    matrix_view() = default;
    /// `stored_rows` rows of `stored_cols` elements each, `stride` bytes from one to the next.
    matrix_view(const std::byte* data, std::size_t stored_rows, std::size_t stored_cols,
                std::size_t stride, bool transposed)
        : m_data(data),
          m_stored_rows(stored_rows),
          m_stored_cols(stored_cols),
          m_stride(stride),
          m_rows{0, stored_rows, stored_rows, stored_rows},
          m_transposed(transposed) {}

    [[nodiscard]] std::size_t rows() const { return m_transposed ? m_stored_cols : m_stored_rows; }
    [[nodiscard]] std::size_t cols() const { return m_transposed ? m_stored_rows : m_stored_cols; }
    [[nodiscard]] bool transposed() const { return m_transposed; }
    [[nodiscard]] std::size_t stored_rows() const { return m_stored_rows; }
    [[nodiscard]] std::size_t stored_cols() const { return m_stored_cols; }
    /// Bytes of stored row r: stored_cols() / block elements in whole blocks.
    [[nodiscard]] const std::byte* stored_row(std::size_t r) const {
        return m_data + m_rows(r) * m_stride;
    }

    /// These rows of W, whose format has blocks of `block` elements in `bytes`. Of a transposed
    /// matrix only a range of rows, from a block's beginning.
    [[nodiscard]] matrix_view group_rows(const row_groups& rows, std::size_t block,
                                         std::size_t bytes) const {
        matrix_view out = *this;
        if (m_transposed) {
            out.m_data += rows.first / block * bytes;
            out.m_stored_cols = rows.count;
        } else {
            out.m_rows = rows;
            out.m_rows.first += m_rows.first;
            out.m_stored_rows = rows.count;
        }
        return out;
    }
    [[nodiscard]] matrix_view transpose() const {
        matrix_view out = *this;
        out.m_transposed = !m_transposed;
        return out;
    }

private:
    const std::byte* m_data = nullptr;
    std::size_t m_stored_rows = 0;
    std::size_t m_stored_cols = 0;
    std::size_t m_stride = 0;  // bytes from one row of the file's matrix to the next
    row_groups m_rows;         // which of its rows are ours, unless transposed
    bool m_transposed = false;
};

/// A stored matrix whose format its type fixes.
template <class Format>
class matrix : public matrix_view {
public:
    using format = Format;

    matrix() = default;
    explicit matrix(const matrix_view& view) : matrix_view(view) {}
    /// `stored_rows` x `stored_cols` elements, `stored_cols` a multiple of the format's block.
    matrix(const std::byte* data, std::size_t stored_rows, std::size_t stored_cols,
           bool transposed = false)
        : matrix_view(data, stored_rows, stored_cols, row_bytes(stored_cols), transposed) {}

    [[nodiscard]] static constexpr std::size_t row_bytes(std::size_t elements) {
        return elements / Format::block * Format::bytes;
    }

    /// W(r, c), decoded from its block. For tests and single looks: O(block).
    [[nodiscard]] float operator()(std::size_t r, std::size_t c) const {
        return transposed() ? element(c, r) : element(r, c);
    }
    /// out = W(r, :), of cols() elements.
    void row(std::size_t r, std::span<float> out) const {
        transposed() ? gather(r, out) : decode_row<Format>(stored_row(r), out);
    }
    /// out = W(:, c), of rows() elements.
    void column(std::size_t c, std::span<float> out) const {
        transposed() ? decode_row<Format>(stored_row(c), out) : gather(c, out);
    }

    /// These rows of W, without a copy; see matrix_view.
    [[nodiscard]] matrix group_rows(const row_groups& rows) const {
        return matrix(matrix_view::group_rows(rows, Format::block, Format::bytes));
    }
    /// Rows [first, first + count) of W, without a copy.
    [[nodiscard]] matrix slice_rows(std::size_t first, std::size_t count) const {
        return group_rows({first, count, count, count});
    }
    /// Itself: products with a matrix of a fixed format are f32 unless told otherwise.
    [[nodiscard]] const matrix& in_f32() const { return *this; }
    /// Wᵀ, without a copy.
    [[nodiscard]] matrix transpose() const { return matrix(matrix_view::transpose()); }

private:
    [[nodiscard]] float element(std::size_t stored_r, std::size_t stored_c) const {
        float block[Format::block];
        decode_block<Format>(stored_row(stored_r) + row_bytes(stored_c), block);
        return block[stored_c % Format::block];
    }
    void gather(std::size_t stored_c, std::span<float> out) const {
        for (std::size_t r = 0; r < stored_rows(); ++r) { out[r] = element(r, stored_c); }
    }
};

}  // namespace xlens
