// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/matrix_view.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>

namespace xlens::kernels {

class packed_inputs;   // kernels/packed_inputs.hpp
class quantised_rows;  // kernels/quantised_rows.hpp

/// A product y_t = W·x_t (or Wᵀ·x_t) that is ready to run, cut into tiles of outputs. Several
/// products can share one parallel loop (`run`), and a tile's outputs can be worked on while they
/// are in the cache. The format of W is looked at once, when the product is made.
struct product {
    std::size_t outputs = 0;                                    ///< columns of y
    std::size_t tile_size = 0;                                  ///< outputs a tile
    std::size_t work_per_tile = 0;                              ///< floating-point operations
    rows<const float> x;                                        ///< borrowed
    rows<float> y;                                              ///< borrowed
    matrix_view weights;                                        ///< W
    bool integer = false;                                       ///< reads x in 8 bits …
    std::shared_ptr<const quantised_rows> quantised = nullptr;  ///< … made when it is run
    bool panels = false;                                        ///< reads x packed, …
    std::shared_ptr<const packed_inputs> packed = nullptr;      ///< … as well
    void (*compute)(const product&, std::size_t first, std::size_t count) = nullptr;

    [[nodiscard]] std::size_t tiles() const { return (outputs + tile_size - 1) / tile_size; }
    /// The outputs of a tile: where they begin, and how many there are.
    [[nodiscard]] std::size_t first(std::size_t tile) const { return tile * tile_size; }
    [[nodiscard]] std::size_t count(std::size_t tile) const {
        return std::min(tile_size, outputs - first(tile));
    }
    void compute_tile(std::size_t tile) const { compute(*this, first(tile), count(tile)); }
};

namespace detail {

/// How a format is multiplied: what of a product knows it.
struct dot_kernel {
    void (*compute)(const product&, std::size_t first, std::size_t count);
    bool integer = false;
};

}  // namespace detail

}  // namespace xlens::kernels
