// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/xtensor.hpp>
#include <xlens/storage/format_id.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

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
        if (r < group) { return first + r; }  // most often all rows: without a division
        return first + r / group * step + r % group;
    }
};

/// A stored matrix: (rows, cols) = (outputs, inputs), so that a layer computes y = W·x, in the
/// bytes of a mapped file. When `transposed()`, the file holds Wᵀ, one stored row an input (GPT-2's
/// Conv1D); everything else is the same. Borrows; nothing is copied. Its format is a value here:
/// reading whole rows costs one indirect call each, and what does so is compiled once for all
/// formats.
class matrix_view {
public:
    matrix_view() = default;
    /// `stored_rows` x `stored_cols` elements, `stored_cols` a multiple of the format's block.
    /// Keeps the address of `format`.
    matrix_view(const row_format& format, const std::byte* data, std::size_t stored_rows,
                std::size_t stored_cols, bool transposed)
        : m_format(&format),
          m_data(data),
          m_stored_rows(stored_rows),
          m_stored_cols(stored_cols),
          m_stride(format.size(stored_cols)),
          m_rows{0, stored_rows, stored_rows, stored_rows},
          m_transposed(transposed) {}

    [[nodiscard]] std::size_t rows() const { return m_transposed ? m_stored_cols : m_stored_rows; }
    [[nodiscard]] std::size_t cols() const { return m_transposed ? m_stored_rows : m_stored_cols; }
    [[nodiscard]] bool transposed() const { return m_transposed; }
    [[nodiscard]] std::size_t stored_rows() const { return m_stored_rows; }
    [[nodiscard]] std::size_t stored_cols() const { return m_stored_cols; }
    /// Elements of a block, and bytes of so many elements, whole blocks.
    [[nodiscard]] std::size_t block() const { return m_format->block; }
    [[nodiscard]] std::size_t row_bytes(std::size_t elements) const {
        return m_format->size(elements);
    }
    /// Bytes of stored row r: stored_cols() / block elements in whole blocks.
    [[nodiscard]] const std::byte* stored_row(std::size_t r) const {
        return m_data + m_rows(r) * m_stride;
    }

    /// Elements [first, first + out.size()) of stored row r; both whole blocks.
    void decode(std::size_t r, std::size_t first, std::span<float> out) const {
        m_format->decode(stored_row(r) + m_format->size(first), out);
    }
    /// The same, `count` of them: in place where the file holds aligned f32, else in `buffer`.
    [[nodiscard]] const float* decoded(std::size_t r, std::size_t first, std::size_t count,
                                       float* buffer) const {
        const std::byte* source = stored_row(r) + m_format->size(first);
        if (m_format->plain && reinterpret_cast<std::uintptr_t>(source) % alignof(float) == 0) {
            return reinterpret_cast<const float*>(source);
        }
        m_format->decode(source, {buffer, count});
        return buffer;
    }

    /// W(r, c), decoded from its block. For tests and single looks: O(block).
    [[nodiscard]] float operator()(std::size_t r, std::size_t c) const {
        return m_transposed ? element(c, r) : element(r, c);
    }
    /// out = W(r, :), of cols() elements.
    void row(std::size_t r, std::span<float> out) const {
        m_transposed ? gather(r, out) : decode(r, 0, out);
    }
    /// out = W(:, c), of rows() elements.
    void column(std::size_t c, std::span<float> out) const {
        m_transposed ? decode(c, 0, out) : gather(c, out);
    }

    /// These rows of W. Of a transposed matrix only a range of rows, from a block's beginning.
    [[nodiscard]] matrix_view group_rows(const row_groups& rows) const {
        matrix_view out = *this;
        if (m_transposed) {
            out.m_data += m_format->size(rows.first);
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
    [[nodiscard]] float element(std::size_t stored_r, std::size_t stored_c) const {
        std::array<float, largest_block> block;
        const std::size_t within = stored_c % m_format->block;
        decode(stored_r, stored_c - within, {block.data(), m_format->block});
        return block[within];
    }
    void gather(std::size_t stored_c, std::span<float> out) const {
        for (std::size_t r = 0; r < m_stored_rows; ++r) { out[r] = element(r, stored_c); }
    }

    static constexpr row_format empty{1, 1, false, nullptr};  // there is nothing to decode
    const row_format* m_format = &empty;
    const std::byte* m_data = nullptr;
    std::size_t m_stored_rows = 0;
    std::size_t m_stored_cols = 0;
    std::size_t m_stride = 0;  // bytes from one row of the file's matrix to the next
    row_groups m_rows;         // which of its rows are ours, unless transposed
    bool m_transposed = false;
};

}  // namespace xlens
