// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/utf8.hpp>

#include <utf8proc.h>

#include <cstddef>
#include <string_view>

namespace xlens {

/// The Unicode property White_Space, which is what `\s` means to Hugging Face's tokenizers.
inline bool is_white_space(char32_t c) {
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

/// A character of a word, `\w`: letters, marks, digits, letter-like numbers, connectors, joiners.
inline bool is_word(char32_t c) {
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL) ||
           category == UTF8PROC_CATEGORY_PC || c == 0x200C || c == 0x200D;
}

/// The last character of `text`, or an invalid unit where it is empty or ends in a broken sequence.
inline utf8_unit last_utf8(std::string_view text) {
    for (std::size_t back = 1; back <= 4 && back <= text.size(); ++back) {
        const utf8_unit unit = read_utf8(text, text.size() - back);
        if (unit.valid && unit.length == back) { return unit; }
    }
    return {};
}

/// Bytes of the white space that `text` begins with.
inline std::size_t leading_white_space(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        const utf8_unit unit = read_utf8(text, at);
        if (!unit.valid || !is_white_space(unit.value)) { break; }
        at += unit.length;
    }
    return at;
}

/// Bytes of the white space that `text` ends with.
inline std::size_t trailing_white_space(std::string_view text) {
    std::size_t bytes = 0;
    while (bytes < text.size()) {
        const utf8_unit unit = last_utf8(text.substr(0, text.size() - bytes));
        if (!unit.valid || !is_white_space(unit.value)) { break; }
        bytes += unit.length;
    }
    return bytes;
}

}  // namespace xlens
