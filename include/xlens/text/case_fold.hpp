// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>

#include <utf8proc.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace xlens {

/// Valid UTF-8 with Unicode's full case folding and in normal form C: two words that differ in case
/// alone become equal.
inline std::string case_fold(std::string_view text) {
    if (std::ranges::all_of(text, [](char c) { return (c & 0x80) == 0; })) {
        std::string out(text);
        for (char& c : out) { c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
        return out;
    }
    utf8proc_uint8_t* raw = nullptr;
    const auto length = utf8proc_map(
        reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
        static_cast<utf8proc_ssize_t>(text.size()), &raw,
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD));
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(raw, &std::free);
    if (length < 0) { fail("text '{}': {}", printable(text), utf8proc_errmsg(length)); }
    return {reinterpret_cast<const char*>(raw), static_cast<std::size_t>(length)};
}

}  // namespace xlens
