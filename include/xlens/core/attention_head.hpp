// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/neuron.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace xlens {

/// A head of a layer's attention, both counted from 0; written `layer:index`.
struct attention_head {
    std::size_t layer = 0;
    std::size_t index = 0;
    bool operator==(const attention_head&) const = default;
};

/// "12:3".
inline std::string to_string(const attention_head& h) {
    return fmt::format("{}:{}", h.layer, h.index);
}

/// The head written `layer:index`. `field` names the flag or key in the error.
inline attention_head parse_head(std::string_view text, std::string_view field) {
    return detail::parse_place<attention_head>(text, field, "a head LAYER:HEAD such as 12:3");
}

/// Throws xlens::error unless a model of `layers` layers of `heads` heads has this one.
inline void check_head(const attention_head& h, std::size_t layers, std::size_t heads) {
    if (h.layer >= layers) {
        fail("head {}: layer {}, the model has layers 0 to {}", to_string(h), h.layer, layers - 1);
    }
    if (h.index >= heads) {
        fail("head {}: index {}, a layer has heads 0 to {}", to_string(h), h.index, heads - 1);
    }
}

}  // namespace xlens
