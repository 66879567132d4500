// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/kernels/column_norms.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/storage/decode_columns.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace xlens {

/// The value vectors of a layer as they are written to the residual: v_i = g⊙w_i, w_i being column
/// i of the FFN's second matrix W (D, F) and g what stands between the sum and the residual, r·γ of
/// a residual multiplier r and of the gain γ of a norm after the FFN (Gemma 2, OLMo 2, Granite);
/// most models have neither. Borrows both. Everything is computed in f32.
template <weight_matrix Weights>
class value_matrix {
public:
    value_matrix() = default;
    /// An empty gain is 1.
    value_matrix(const Weights& stored, std::span<const float> gain)
        : m_stored(stored), m_gain(gain) {}

    [[nodiscard]] std::size_t rows() const { return m_stored.rows(); }  ///< D
    [[nodiscard]] std::size_t cols() const { return m_stored.cols(); }  ///< F
    /// W (D, F), as the file has it.
    [[nodiscard]] const Weights& stored() const { return m_stored; }
    /// g (D), or empty.
    [[nodiscard]] std::span<const float> gain() const { return m_gain; }

    /// Element d of v_i.
    [[nodiscard]] float operator()(std::size_t d, std::size_t i) const {
        return m_gain.empty() ? m_stored(d, i) : m_gain[d] * m_stored(d, i);
    }
    /// out = v_i (D).
    void column(std::size_t i, std::span<float> out) const {
        m_stored.column(i, out);
        multiply(out);
    }
    /// out (F, D): all of them.
    void columns(xlens::rows<float> out) const {
        decode_columns(m_stored, out);
        for (std::size_t i = 0; i < out.count(); ++i) { multiply(out[i]); }
    }
    /// out (N, F): ⟨x_n, v_i⟩ of x (N, D). One pass over W.
    void products(xlens::rows<const float> x, xlens::rows<float> out) const {
        if (m_gain.empty()) { return kernels::matmul_transposed(m_stored.in_f32(), x, out); }
        xt::xtensor<float, 2> in = x.tensor();
        for (std::size_t n = 0; n < x.count(); ++n) { multiply(xlens::rows<float>(in)[n]); }
        kernels::matmul_transposed(m_stored.in_f32(), in, out);
    }
    /// out (F): ‖v_i‖. One pass over W.
    void norms(std::span<float> out) const {
        if (m_gain.empty()) { return kernels::column_norms(m_stored, out); }
        // Some columns at a time, as a row of W has them together.
        std::vector<double> squares(out.size(), 0.0);
        std::vector<float> row(out.size());
        for (std::size_t d = 0; d < rows(); ++d) {
            m_stored.row(d, row);
            for (std::size_t i = 0; i < row.size(); ++i) {
                const double v = double{m_gain[d]} * double{row[i]};
                squares[i] += v * v;
            }
        }
        std::ranges::transform(squares, out.begin(),
                               [](double s) { return static_cast<float>(std::sqrt(s)); });
    }

private:
    void multiply(std::span<float> x) const {
        for (std::size_t d = 0; d < m_gain.size(); ++d) { x[d] *= m_gain[d]; }
    }

    Weights m_stored;
    std::span<const float> m_gain;
};

}  // namespace xlens
