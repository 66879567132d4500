// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/text/utf8.hpp>

#include <fmt/format.h>
#include <utf8proc.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace xlens {

namespace detail {

inline bool has_no_shape(char32_t value) {
    switch (utf8proc_category(static_cast<utf8proc_int32_t>(value))) {
        case UTF8PROC_CATEGORY_CC:
        case UTF8PROC_CATEGORY_CF:
        case UTF8PROC_CATEGORY_CS:
        case UTF8PROC_CATEGORY_CO:
        case UTF8PROC_CATEGORY_CN:
        case UTF8PROC_CATEGORY_ZS:
        case UTF8PROC_CATEGORY_ZL:
        case UTF8PROC_CATEGORY_ZP: return true;
        default: return false;
    }
}

inline void append_visible(std::string& out, char32_t value) {
    constexpr char32_t control_pictures = 0x2400;
    switch (value) {
        case U' ': out += "␣"; return;
        case U'\n': out += "⏎"; return;
        case U'\t': out += "⇥"; return;
        case 0x7f: out += "␡"; return;
        default: break;
    }
    if (value < 0x20) {
        append_utf8(out, control_pictures + value);
    } else if (has_no_shape(value)) {
        out += fmt::format("<{:04X}>", static_cast<unsigned>(value));
    } else {
        // A combining mark needs something to stand on.
        if (out.empty() && utf8proc_charwidth(static_cast<utf8proc_int32_t>(value)) <= 0) {
            out += "◌";
        }
        append_utf8(out, value);
    }
}

}  // namespace detail

/// A token as a person can read it: spaces become ␣, line ends ⏎, other control characters their
/// pictures, characters without a shape of their own (among them those that turn the direction of
/// text) their numbers, as `<202E>`, and bytes that are no UTF-8, as of a token that is part of a
/// character, `\xNN`. The result is valid UTF-8 without control characters.
inline std::string visible(std::string_view token) {
    std::string out;
    for_each_stretch(token, [&](std::string_view stretch, bool valid) {
        if (!valid) {
            out += printable(stretch);
            return;
        }
        for (std::size_t at = 0; at < stretch.size();) {
            const utf8_unit unit = read_utf8(stretch, at);
            detail::append_visible(out, unit.value);
            at += unit.length;
        }
    });
    return out;
}

}  // namespace xlens
