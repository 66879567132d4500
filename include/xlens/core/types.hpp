// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace xlens {

/// A token of the vocabulary, 0 <= id < V.
using token_id = std::int32_t;

/// One value vector of the model: column `index` of the second FFN matrix of layer `layer`.
/// Both count from 0; written `layer:index`, for example `12:1033`.
struct neuron {
    std::size_t layer = 0;
    std::size_t index = 0;
    auto operator<=>(const neuron&) const = default;
};

}  // namespace xlens
