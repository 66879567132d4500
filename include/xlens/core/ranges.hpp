// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <numeric>
#include <string_view>
#include <system_error>
#include <vector>

namespace xlens {

/// "3,5-8" or "all": numbers below `count`, in the order in which they are written. Throws
/// xlens::error, which begins with `place`, for anything else and for a number that is given twice.
inline std::vector<std::size_t> parse_ranges(std::string_view place, std::string_view text,
                                             std::size_t count) {
    std::vector<std::size_t> out;
    if (text == "all") {
        out.resize(count);
        std::iota(out.begin(), out.end(), std::size_t{0});
        return out;
    }
    const auto number = [&](std::string_view digits) {
        std::size_t value = 0;
        const char* end = digits.data() + digits.size();
        const auto result = std::from_chars(digits.data(), end, value);
        if (result.ec != std::errc() || result.ptr != end || value >= count) {
            fail("{}: expected numbers from 0 to {} such as 3,5-8, got '{}'", place, count - 1,
                 printable(digits));
        }
        return value;
    };
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t comma = std::min(text.find(',', at), text.size());
        const std::string_view part = text.substr(at, comma - at);
        const std::size_t dash = part.find('-', 1);
        const std::size_t first = number(part.substr(0, dash));
        const std::size_t last =
            dash == std::string_view::npos ? first : number(part.substr(dash + 1));
        if (last < first) {
            fail("{}: expected a range such as 5-8, got '{}'", place, printable(part));
        }
        for (std::size_t i = first; i <= last; ++i) {
            if (std::ranges::find(out, i) != out.end()) { fail("{}: {} is given twice", place, i); }
            out.push_back(i);
        }
        at = comma + 1;
    }
    return out;
}

}  // namespace xlens
