// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace xlens {

/// Hash that lets a map of strings be asked with a string_view, without a copy.
struct string_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
        return std::hash<std::string_view>{}(text);
    }
};

/// A token's spelling to its id.
using token_map = std::unordered_map<std::string, token_id, string_hash, std::equal_to<>>;

inline std::optional<token_id> find_token(const token_map& map, std::string_view spelling) {
    const auto it = map.find(spelling);
    return it == map.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace xlens
