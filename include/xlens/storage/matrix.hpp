// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/formats.hpp>

#include <cstddef>
#include <span>
#include <vector>

namespace xlens {

/// Where row r of a stored matrix begins: rows come in groups of `group`, the groups are
/// `group_stride` bytes apart, the rows inside one are `stride` bytes apart. Plain matrices are one
/// group. (GPT-NeoX interleaves query, key and value rows head by head: group = head size.)
struct row_layout {
    std::size_t stride = 0;
    std::size_t group = 0;  // 0: all rows are one group
    std::size_t group_stride = 0;

    [[nodiscard]] std::size_t offset(std::size_t r) const {
        return group == 0 ? r * stride : (r / group) * group_stride + (r % group) * stride;
    }
};

/// A weight matrix in the bytes of a mapped file, (rows, cols) = (outputs, inputs), so that a layer
/// computes y = W·x. Borrows; nothing is copied. When `transposed()`, the file holds Wᵀ, one stored
/// row an input (GPT-2's Conv1D); everything else is the same.
template <class Format>
class matrix {
public:
    using format = Format;

    matrix() = default;
    /// `stored_rows` x `stored_cols` elements, `stored_cols` a multiple of the format's block.
    matrix(const std::byte* data, std::size_t stored_rows, std::size_t stored_cols,
           bool transposed = false)
        : matrix(data, stored_rows, stored_cols, {row_bytes(stored_cols), 0, 0}, transposed) {}
    matrix(const std::byte* data, std::size_t stored_rows, std::size_t stored_cols,
           row_layout layout, bool transposed)
        : m_data(data),
          m_stored_rows(stored_rows),
          m_stored_cols(stored_cols),
          m_layout(layout),
          m_transposed(transposed) {}

    [[nodiscard]] std::size_t rows() const { return m_transposed ? m_stored_cols : m_stored_rows; }
    [[nodiscard]] std::size_t cols() const { return m_transposed ? m_stored_rows : m_stored_cols; }
    [[nodiscard]] bool transposed() const { return m_transposed; }
    [[nodiscard]] std::size_t stored_rows() const { return m_stored_rows; }
    [[nodiscard]] std::size_t stored_cols() const { return m_stored_cols; }
    /// Bytes of stored row r: stored_cols() / Format::block elements in whole blocks.
    [[nodiscard]] const std::byte* stored_row(std::size_t r) const {
        return m_data + m_layout.offset(r);
    }
    [[nodiscard]] static constexpr std::size_t row_bytes(std::size_t elements) {
        return elements / Format::block * Format::bytes;
    }

    /// W(r, c), decoded from its block. For tests and single looks: O(block).
    [[nodiscard]] float operator()(std::size_t r, std::size_t c) const {
        return m_transposed ? element(c, r) : element(r, c);
    }
    /// out = W(r, :), of cols() elements.
    void row(std::size_t r, std::span<float> out) const {
        m_transposed ? gather(r, out) : decode_row<Format>(stored_row(r), out);
    }
    /// out = W(:, c), of rows() elements.
    void column(std::size_t c, std::span<float> out) const {
        m_transposed ? decode_row<Format>(stored_row(c), out) : gather(c, out);
    }

    /// Rows [first, first + count) of W, without a copy. Transposed storage needs `first` on a
    /// block boundary.
    [[nodiscard]] matrix slice_rows(std::size_t first, std::size_t count) const {
        return m_transposed ? matrix(m_data + row_bytes(first), m_stored_rows, count, m_layout, true)
                            : matrix(stored_row(first), count, m_stored_cols, m_layout, false);
    }

private:
    [[nodiscard]] float element(std::size_t stored_r, std::size_t stored_c) const {
        float block[Format::block];
        Format::decode(stored_row(stored_r) + row_bytes(stored_c), block);
        return block[stored_c % Format::block];
    }
    void gather(std::size_t stored_c, std::span<float> out) const {
        for (std::size_t r = 0; r < m_stored_rows; ++r) { out[r] = element(r, stored_c); }
    }

    const std::byte* m_data = nullptr;
    std::size_t m_stored_rows = 0;
    std::size_t m_stored_cols = 0;
    row_layout m_layout;
    bool m_transposed = false;
};

}  // namespace xlens
