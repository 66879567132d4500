// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/rows.hpp>

#include <cstddef>

namespace xlens::reference {

/// y_t = W·x_t for every row x_t of x, element by element in double precision.
/// x (T, cols), y (T, rows).
template <class Weights>
void matmul(const Weights& w, rows<const float> x, rows<float> y) {
    for (std::size_t t = 0; t < x.count(); ++t) {
        for (std::size_t r = 0; r < w.rows(); ++r) {
            double sum = 0.0;
            for (std::size_t c = 0; c < w.cols(); ++c) {
                sum += static_cast<double>(w(r, c)) * static_cast<double>(x[t][c]);
            }
            y[t][r] = static_cast<float>(sum);
        }
    }
}

/// y_t = Wᵀ·x_t for every row x_t of x. x (T, rows), y (T, cols).
template <class Weights>
void matmul_transposed(const Weights& w, rows<const float> x, rows<float> y) {
    for (std::size_t t = 0; t < x.count(); ++t) {
        for (std::size_t c = 0; c < w.cols(); ++c) {
            double sum = 0.0;
            for (std::size_t r = 0; r < w.rows(); ++r) {
                sum += static_cast<double>(w(r, c)) * static_cast<double>(x[t][r]);
            }
            y[t][c] = static_cast<float>(sum);
        }
    }
}

}  // namespace xlens::reference
