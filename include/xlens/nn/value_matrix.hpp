// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/xtensor.hpp>
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
/// most models have neither. W may lie in several matrices side by side, one an expert. Other
/// vectors of neurons are kept in one as well (concepts/layer_vectors.hpp). Borrows W and g.
/// Everything is computed in f32.
template <weight_matrix Weights>
class value_matrix {
public:
    value_matrix() = default;
    /// An empty gain is 1.
    value_matrix(const Weights& stored, std::span<const float> gain)
        : value_matrix(std::vector<Weights>{stored}, gain) {}
    value_matrix(std::vector<Weights> parts, std::span<const float> gain)
        : m_parts(std::move(parts)), m_gain(gain) {
        for (const Weights& part : m_parts) { m_ends.push_back(cols() + part.cols()); }
    }

    [[nodiscard]] std::size_t rows() const { return m_parts.front().rows(); }              ///< D
    [[nodiscard]] std::size_t cols() const { return m_ends.empty() ? 0 : m_ends.back(); }  ///< F
    /// W (D, F) as the file has it: (D, F_e) an expert, or one matrix.
    [[nodiscard]] const std::vector<Weights>& parts() const { return m_parts; }
    /// g (D), or empty.
    [[nodiscard]] std::span<const float> gain() const { return m_gain; }

    /// Element d of v_i.
    [[nodiscard]] float operator()(std::size_t d, std::size_t i) const {
        const std::size_t p = part_of(i);
        const float w = m_parts[p](d, i - begin(p));
        return m_gain.empty() ? w : m_gain[d] * w;
    }
    // All throw xlens::error for neurons that are not there, and for spans and rows of other sizes.

    /// out = v_i (D).
    void column(std::size_t i, std::span<float> out) const {
        if (i >= cols()) { fail("value: neuron {} of a layer with {}", i, cols()); }
        if (out.size() != rows()) {
            fail("value: {} numbers for a width of {}", out.size(), rows());
        }
        const std::size_t p = part_of(i);
        m_parts[p].column(i - begin(p), out);
        multiply(out);
    }
    /// out (F, D): all of them.
    void columns(xlens::rows<float> out) const {
        expect("value vectors: rows", out.count(), cols());
        expect("value vectors: width", out.width(), rows());
        for (std::size_t p = 0; p < m_parts.size(); ++p) {
            decode_columns(m_parts[p], out.subrows(begin(p), m_parts[p].cols()));
        }
        for (std::size_t i = 0; i < out.count(); ++i) { multiply(out[i]); }
    }
    [[nodiscard]] xt::xtensor<float, 2> columns() const {
        xt::xtensor<float, 2> out = xt::empty<float>({cols(), rows()});
        columns(out);
        return out;
    }
    /// Itself in pieces of whole matrices, neurons in their order: of a mixture as many experts
    /// together as have no more than `most` neurons.
    [[nodiscard]] std::vector<value_matrix> pieces(std::size_t most) const {
        std::vector<value_matrix> out;
        std::vector<Weights> some;
        std::size_t neurons = 0;
        for (const Weights& part : m_parts) {
            if (!some.empty() && neurons + part.cols() > most) {
                out.emplace_back(std::exchange(some, {}), m_gain);
                neurons = 0;
            }
            some.push_back(part);
            neurons += part.cols();
        }
        if (!some.empty()) { out.emplace_back(std::move(some), m_gain); }
        return out;
    }
    /// out (N, F): ⟨x_n, v_i⟩ of x (N, D). One pass over W.
    void products(xlens::rows<const float> x, xlens::rows<float> out) const {
        expect("products with value vectors: width", x.width(), rows());
        expect("products with value vectors: columns", out.width(), cols());
        expect("products with value vectors: rows", out.count(), x.count());
        xt::xtensor<float, 2> folded;
        if (!m_gain.empty()) {
            folded = x.tensor();
            for (std::size_t n = 0; n < x.count(); ++n) { multiply(xlens::rows<float>(folded)[n]); }
            x = folded;
        }
        for (std::size_t p = 0; p < m_parts.size(); ++p) {
            kernels::matmul_transposed(m_parts[p].in_f32(), x,
                                       out.columns(begin(p), m_parts[p].cols()));
        }
    }
    /// The same of one x (D) -> (F).
    void product(std::span<const float> x, std::span<float> out) const {
        products(as_rows(x), as_rows(out));
    }
    /// out (F): ‖v_i‖. One pass over W.
    void norms(std::span<float> out) const {
        expect("norms of value vectors: count", out.size(), cols());
        for (std::size_t p = 0; p < m_parts.size(); ++p) {
            const std::span<float> some = out.subspan(begin(p), m_parts[p].cols());
            if (m_gain.empty()) {
                kernels::column_norms(m_parts[p], some);
            } else {
                folded_norms(m_parts[p], some);
            }
        }
    }

private:
    static void expect(const char* what, std::size_t found, std::size_t expected) {
        if (found != expected) { fail("{}: expected {}, got {}", what, expected, found); }
    }
    [[nodiscard]] std::size_t begin(std::size_t p) const { return p == 0 ? 0 : m_ends[p - 1]; }
    [[nodiscard]] std::size_t part_of(std::size_t i) const {
        return static_cast<std::size_t>(std::ranges::upper_bound(m_ends, i) - m_ends.begin());
    }
    void multiply(std::span<float> x) const {
        for (std::size_t d = 0; d < m_gain.size(); ++d) { x[d] *= m_gain[d]; }
    }
    /// As a row of W has an element of every vector: row by row.
    void folded_norms(const Weights& part, std::span<float> out) const {
        std::vector<double> squares(out.size(), 0.0);
        std::vector<float> row(out.size());
        for (std::size_t d = 0; d < rows(); ++d) {
            part.row(d, row);
            for (std::size_t i = 0; i < row.size(); ++i) {
                const double v = double{m_gain[d]} * double{row[i]};
                squares[i] += v * v;
            }
        }
        std::ranges::transform(squares, out.begin(),
                               [](double s) { return static_cast<float>(std::sqrt(s)); });
    }

    std::vector<Weights> m_parts;
    std::vector<std::size_t> m_ends;  // of each part, the first neuron that is not its own
    std::span<const float> m_gain;
};

}  // namespace xlens
