// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/xtensor.hpp>
#include <xlens/nn/position.hpp>

#include <cstddef>

namespace xlens {

/// Sizes of one layer: D, F, heads and their size.
struct layer_shape {
    std::size_t width = 0;
    std::size_t inner_width = 0;
    std::size_t heads = 0;
    std::size_t kv_heads = 0;
    std::size_t head_size = 0;
};

/// The tensors between the steps of a pass over T positions; every layer reuses them.
struct workspace {
    xt::xtensor<float, 2> normed;        ///< (T, D)
    xt::xtensor<float, 2> queries;       ///< (T, heads·head_size)
    xt::xtensor<float, 2> mixed;         ///< (T, heads·head_size): attention before its output
    xt::xtensor<float, 2> update;        ///< (T, D): what attention or FFN adds
    xt::xtensor<float, 2> coefficients;  ///< (T, F)
    xt::xtensor<float, 2> keys;          ///< (T, kv_heads·head_size), where rows are of sequences
    xt::xtensor<float, 2> values;        ///< of their own: attention::each
    rotation turned;
    std::size_t first_position = 0;  ///< of the rows that these were prepared for

    void resize(std::size_t count, const layer_shape& shape) {
        normed.resize({count, shape.width});
        queries.resize({count, shape.heads * shape.head_size});
        mixed.resize({count, shape.heads * shape.head_size});
        update.resize({count, shape.width});
        coefficients.resize({count, shape.inner_width});
    }
};

}  // namespace xlens
