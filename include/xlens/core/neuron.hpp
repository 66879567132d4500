// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>

#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>

namespace xlens {

/// "12:1033".
inline std::string to_string(const neuron& n) { return fmt::format("{}:{}", n.layer, n.index); }

namespace detail {
/// What is written `layer:index`; `expected` says in the error what that would be.
template <class Place>
Place parse_place(std::string_view text, std::string_view field, std::string_view expected) {
    Place out;
    const auto number = [](std::string_view digits, std::size_t& value) {
        const char* end = digits.data() + digits.size();
        const auto result = std::from_chars(digits.data(), end, value);
        return !digits.empty() && result.ec == std::errc() && result.ptr == end;
    };
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos || !number(text.substr(0, colon), out.layer) ||
        !number(text.substr(colon + 1), out.index)) {
        fail("{}: expected {}, got '{}'", field, expected, printable(text));
    }
    return out;
}
}  // namespace detail

/// The neuron written `layer:index`. `field` names the flag or key in the error.
inline neuron parse_neuron(std::string_view text, std::string_view field) {
    return detail::parse_place<neuron>(text, field, "a neuron LAYER:INDEX such as 12:1033");
}

/// Throws xlens::error unless a model of `layers` layers of `inner_width` neurons has this one.
inline void check_neuron(const neuron& n, std::size_t layers, std::size_t inner_width) {
    if (n.layer >= layers) {
        fail("neuron {}: layer {}, the model has layers 0 to {}", to_string(n), n.layer,
             layers - 1);
    }
    if (n.index >= inner_width) {
        fail("neuron {}: index {}, a layer has neurons 0 to {}", to_string(n), n.index,
             inner_width - 1);
    }
}

}  // namespace xlens
