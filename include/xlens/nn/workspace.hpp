// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/aligned.hpp>
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
    aligned_tensor normed;        ///< (T, D)
    aligned_tensor queries;       ///< (T, heads·head_size)
    aligned_tensor mixed;         ///< (T, heads·head_size): attention before its output
    aligned_tensor update;        ///< (T, D): what attention or FFN adds
    aligned_tensor coefficients;  ///< (T, F)
    aligned_tensor keys;          ///< (T, kv_heads·head_size), where they are not computed in
    aligned_tensor values;        ///< the cache: it rounds, or rows are of several sequences
    rotations turned;
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
