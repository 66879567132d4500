// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace xlens {

/// The one exception that leaves xlens. Its message is a single line that names the file (or flag),
/// the field, and both values: what was expected and what was found.
class error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Text from outside, made safe for a one-line message: control bytes and non-ASCII bytes are
/// escaped as `\xNN`, and anything over `limit` bytes is cut and marked with "...".
inline std::string printable(std::string_view text, std::size_t limit = 80) {
    std::string out;
    for (const char byte : text.substr(0, limit)) {
        const auto c = static_cast<unsigned char>(byte);
        if (c < 0x20 || c > 0x7e) {
            out += fmt::format("\\x{:02x}", c);
        } else {
            out += byte;
        }
    }
    if (text.size() > limit) { out += "..."; }
    return out;
}

/// "a, b, c" of strings or whole numbers. Lists of a message: fmt::join compiles a formatter for
/// each kind of list, half a second in a program that reads a model.
template <class Range>
std::string joined(const Range& items, std::string_view separator) {
    std::string out;
    std::string_view before;
    for (const auto& item : items) {
        out += std::exchange(before, separator);
        if constexpr (std::is_integral_v<std::remove_cvref_t<decltype(item)>>) {
            out += std::to_string(item);
        } else {
            out += item;
        }
    }
    return out;
}

namespace detail {
[[noreturn, gnu::noinline, gnu::cold]] inline void throw_error(fmt::string_view format,
                                                               fmt::format_args args) {
    throw error(fmt::vformat(format, args));
}
}  // namespace detail

/// Throws xlens::error with a formatted message: `fail("{}: {} is {}, expected {}", file, ...)`.
template <class... Args>
[[noreturn, gnu::cold]] void fail(fmt::format_string<Args...> format, Args&&... args) {
    detail::throw_error(format, fmt::make_format_args(args...));
}

}  // namespace xlens
