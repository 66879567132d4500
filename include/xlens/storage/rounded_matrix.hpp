// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/xtensor.hpp>
#include <xlens/storage/any_matrix.hpp>
#include <xlens/storage/formats.hpp>
#include <xlens/storage/matrix.hpp>
#include <xlens/storage/precision.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/to_q8_0.hpp>

#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

namespace xlens {

/// A matrix of our own making in 8 bits (storage/to_q8_0.hpp), a quarter of its memory, multiplied
/// in integers where the build can (precision::native). Rows of other widths than multiples of 32
/// stay f32.
class rounded_matrix {
public:
    rounded_matrix() = default;
    /// Zeros (rows, cols).
    rounded_matrix(std::size_t rows, std::size_t cols) : m_rows(rows), m_cols(cols) {
        m_bytes.resize(m_rows * row_bytes());
    }
    /// Finite values w (rows, cols).
    explicit rounded_matrix(xlens::rows<const float> w) : rounded_matrix(w.count(), w.width()) {
        for (std::size_t r = 0; r < m_rows; ++r) { put(r, w[r]); }
    }

    /// Row r becomes finite values w (cols). Different rows may be put by several threads.
    void put(std::size_t r, std::span<const float> w) {
        std::byte* to = m_bytes.data() + r * row_bytes();
        rounds() ? to_q8_0(w, to) : store(w, to);
    }

    [[nodiscard]] std::size_t rows() const { return m_rows; }
    [[nodiscard]] std::size_t cols() const { return m_cols; }
    /// Borrows.
    [[nodiscard]] any_matrix view() const {
        return {rounds() ? format_id::q8_0 : format_id::f32,
                m_bytes.data(),
                m_rows,
                m_cols,
                false,
                precision::native};
    }

private:
    [[nodiscard]] bool rounds() const { return m_cols % q8_0::block == 0; }
    [[nodiscard]] std::size_t row_bytes() const {
        return rounds() ? matrix<q8_0>::row_bytes(m_cols) : matrix<f32>::row_bytes(m_cols);
    }
    static void store(std::span<const float> w, std::byte* to) {
        std::memcpy(to, w.data(), w.size_bytes());
    }
    std::size_t m_rows = 0;
    std::size_t m_cols = 0;
    std::vector<std::byte> m_bytes;
};

}  // namespace xlens
