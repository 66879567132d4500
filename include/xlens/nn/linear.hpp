// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/add.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <cstddef>
#include <span>

namespace xlens {

/// y = W·x + b, W (outputs, inputs). The bias is f32 (files keep it so, or it is decoded once) and
/// empty where the architecture has none.
template <weight_matrix Weights>
struct linear {
    Weights weight;
    xt::xtensor<float, 1> bias;

    /// x (T, inputs) -> out (T, outputs).
    void operator()(rows<const float> x, rows<float> out) const {
        kernels::matmul(weight, x, out);
        add_bias(out);
    }
    void add_bias(rows<float> out) const {
        if (bias.size() == 0) { return; }
        const std::span<const float> b(bias.data(), bias.size());
        for (std::size_t t = 0; t < out.count(); ++t) { kernels::add_scaled(1.0F, b, out[t]); }
    }
};

}  // namespace xlens
