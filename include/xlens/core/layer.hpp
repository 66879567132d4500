// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>

#include <cstddef>
#include <string_view>

namespace xlens {

/// Throws xlens::error, which names `what` asked for it, unless a model of `layers` has this layer.
inline void check_layer(std::string_view what, std::size_t layer, std::size_t layers) {
    if (layer >= layers) {
        fail("{}: layer {}, the model has layers 0 to {}", what, layer, layers - 1);
    }
}

}  // namespace xlens
