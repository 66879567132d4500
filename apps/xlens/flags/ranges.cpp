// SPDX-License-Identifier: BSD-3-Clause
#include "flags/ranges.hpp"

#include "flags/arguments.hpp"

#include <xlens/core/error.hpp>

#include <algorithm>

namespace xlens::program {

std::vector<std::size_t> parse_ranges(std::string_view flag, std::string_view text,
                                      std::size_t count) {
    std::vector<std::size_t> out;
    const auto add = [&](std::size_t i) {
        if (std::ranges::find(out, i) != out.end()) { fail("{}: {} is given twice", flag, i); }
        out.push_back(i);
    };
    if (text == "all") { text = {}; }
    for (std::size_t i = 0; text.empty() && i < count; ++i) { out.push_back(i); }
    for (std::size_t at = 0; !text.empty() && at <= text.size();) {
        const std::size_t comma = std::min(text.find(',', at), text.size());
        const std::string_view part = text.substr(at, comma - at);
        const std::size_t dash = part.find('-', 1);
        const auto number = [&](std::string_view digits) {
            return static_cast<std::size_t>(parse_whole(flag, digits, 0, count - 1));
        };
        const std::size_t first = number(part.substr(0, dash));
        const std::size_t last =
            dash == std::string_view::npos ? first : number(part.substr(dash + 1));
        if (last < first) { fail("{}: expected a range such as 5-8, got '{}'", flag, part); }
        for (std::size_t i = first; i <= last; ++i) { add(i); }
        at = comma + 1;
    }
    return out;
}

}  // namespace xlens::program
