// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/comma_separated.hpp>
#include <xlens/core/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace xlens {

namespace detail {

inline std::optional<std::size_t> whole_number(std::string_view text) {
    std::size_t value = 0;
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value);
    if (result.ec != std::errc() || result.ptr != end) { return std::nullopt; }
    return value;
}

}  // namespace detail

/// The numbers of "3,5-8", each once, in order; of "all" those below `end`. Throws xlens::error
/// naming `what` ("--layers") for anything else, and for a number that is not below `end`.
inline std::vector<std::size_t> parse_ranges(std::string_view what, std::string_view text,
                                             std::size_t end) {
    const auto refuse = [&] {
        fail("{}: expected numbers and ranges from 0 to {} such as 3,5-8, got '{}'", what, end - 1,
             printable(text));
    };
    std::vector<std::size_t> out;
    if (text == "all") {
        out.resize(end);
        std::iota(out.begin(), out.end(), std::size_t{0});
        return out;
    }
    for (const std::string_view part : comma_separated(text)) {
        const std::size_t dash = std::min(part.find('-'), part.size());
        const auto first = detail::whole_number(part.substr(0, dash));
        const auto last = dash == part.size() ? first : detail::whole_number(part.substr(dash + 1));
        if (!first || !last || *last < *first || *last >= end) { refuse(); }
        for (std::size_t n = *first; n <= *last; ++n) { out.push_back(n); }
        if (out.size() > end) {  // far more than there can be: a list that repeats itself
            std::sort(out.begin(), out.end());
            out.erase(std::unique(out.begin(), out.end()), out.end());
        }
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

/// Sorted numbers as parse_ranges reads them: "3,5-8".
inline std::string ranges_text(const std::vector<std::size_t>& sorted) {
    std::string out;
    for (std::size_t i = 0; i < sorted.size();) {
        std::size_t end = i + 1;
        while (end < sorted.size() && sorted[end] == sorted[end - 1] + 1) { ++end; }
        out += out.empty() ? "" : ",";
        out += end - i > 1 ? fmt::format("{}-{}", sorted[i], sorted[end - 1])
                           : fmt::format("{}", sorted[i]);
        i = end;
    }
    return out;
}

}  // namespace xlens
