// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>

#include <concepts>
#include <cstddef>
#include <string_view>
#include <utility>

namespace xlens {

/// Throws xlens::error unless a vocabulary of so many tokens has this one. `field` names the flag,
/// key or use in the error. Takes integers of any type, so that a number is checked before it is a
/// token.
template <std::integral Id>
void check_token(Id id, std::size_t vocabulary, std::string_view field) {
    if (std::cmp_less(id, 0) || std::cmp_greater_equal(id, vocabulary)) {
        fail("{}: token {}: expected 0 to {}", field, id, vocabulary - 1);
    }
}

}  // namespace xlens
