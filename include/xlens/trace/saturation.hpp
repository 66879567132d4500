// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>

#include <cstddef>
#include <span>

namespace xlens {

/// First layer (0-based) from which the top token after the FFN update equals the final one up to
/// the end (Geva et al. 2022, section 5.1). `top`: one token a layer, the last one final.
XLENS_API std::size_t saturation_layer(std::span<const token_id> top);

#if XLENS_DEFINES(trace)

XLENS_API std::size_t saturation_layer(std::span<const token_id> top) {
    std::size_t layer = top.size() - 1;
    while (layer > 0 && top[layer - 1] == top.back()) { --layer; }
    return layer;
}

#endif

}  // namespace xlens
