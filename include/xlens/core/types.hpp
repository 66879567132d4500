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

/// Something that has a number, and what it scores.
template <class Id>
struct scored_id {
    Id id = 0;
    float score = 0.0F;
    bool operator==(const scored_id&) const = default;
};
/// A token and what it scores: a logit, a probability or a projection.
using scored = scored_id<token_id>;

}  // namespace xlens
