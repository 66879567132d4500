// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/add.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <array>
#include <cstddef>
#include <span>

namespace xlens {

/// y = W·x + b, W (outputs, inputs). The bias is f32 (files keep it so, or it is decoded once) and
/// empty where the architecture has none.
template <weight_matrix Weights>
struct linear {
    Weights weight;
    xt::xtensor<float, 1> bias = {};

    /// x (T, inputs) -> out (T, outputs).
    void operator()(rows<const float> x, rows<float> out) const {
        std::array one{product(x, out)};
        kernels::run(one, [&](std::size_t, std::size_t first, std::size_t count) {
            add_bias(out, first, count);
        });
    }
    /// W·x into out, to run beside other products; the bias is added afterwards.
    [[nodiscard]] kernels::product product(rows<const float> x, rows<float> out) const {
        return kernels::make_product(weight, x, out);
    }
    /// out(:, first + i) += b(first + i), i < count.
    void add_bias(rows<float> out, std::size_t first, std::size_t count) const {
        if (bias.size() == 0) { return; }
        const auto b = std::span<const float>(bias.data(), bias.size()).subspan(first, count);
        for (std::size_t t = 0; t < out.count(); ++t) {
            kernels::add_scaled(1.0F, b, out[t].subspan(first, count));
        }
    }
    void add_bias(rows<float> out) const { add_bias(out, 0, out.width()); }
};

}  // namespace xlens
