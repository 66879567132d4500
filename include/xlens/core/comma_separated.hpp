// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

namespace xlens {

/// What stands between the commas of a list, as it is: "3, 5-8" is "3" and " 5-8", "" is one "".
/// The parts are views of the list.
inline std::vector<std::string_view> comma_separated(std::string_view list) {
    std::vector<std::string_view> out;
    for (std::size_t at = 0; at <= list.size();) {
        const std::size_t comma = std::min(list.find(',', at), list.size());
        out.push_back(list.substr(at, comma - at));
        at = comma + 1;
    }
    return out;
}

}  // namespace xlens
