// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/weight_matrix.hpp>

#include <cmath>
#include <cstddef>
#include <span>

namespace xlens::reference {

/// ‖W(:, c)‖ of every column, element by element in double precision. out (cols).
template <weight_matrix Weights>
void column_norms(const Weights& w, std::span<float> out) {
    for (std::size_t c = 0; c < w.cols(); ++c) {
        double sum = 0.0;
        for (std::size_t r = 0; r < w.rows(); ++r) {
            sum += static_cast<double>(w(r, c)) * static_cast<double>(w(r, c));
        }
        out[c] = static_cast<float>(std::sqrt(sum));
    }
}

}  // namespace xlens::reference
