// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_strings.hpp>

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

// Upper and lower case as Python's str has them. Characters that become several (ß to SS) and the
// Greek sigma, whose form depends on where it stands, are refused by name.

namespace xlens::detail {

/// Code points that become several in upper or title case, first and last of each stretch (Unicode
/// 14, SpecialCasing.txt), and İ and Σ, whose lower case is not one character either.
inline constexpr std::array<std::pair<char32_t, char32_t>, 31> special_cases{{
    {0xDF, 0xDF},     {0x130, 0x130},   {0x149, 0x149},   {0x1F0, 0x1F0},   {0x390, 0x390},
    {0x3A3, 0x3A3},   {0x3B0, 0x3B0},   {0x587, 0x587},   {0x1E96, 0x1E9A}, {0x1F50, 0x1F50},
    {0x1F52, 0x1F52}, {0x1F54, 0x1F54}, {0x1F56, 0x1F56}, {0x1F80, 0x1FAF}, {0x1FB2, 0x1FB4},
    {0x1FB6, 0x1FB7}, {0x1FBC, 0x1FBC}, {0x1FC2, 0x1FC4}, {0x1FC6, 0x1FC7}, {0x1FCC, 0x1FCC},
    {0x1FD2, 0x1FD3}, {0x1FD6, 0x1FD7}, {0x1FE2, 0x1FE4}, {0x1FE6, 0x1FE7}, {0x1FF2, 0x1FF4},
    {0x1FF6, 0x1FF7}, {0x1FFC, 0x1FFC}, {0xFB00, 0xFB06}, {0xFB13, 0xFB17}, {0x1E9E, 0x1E9E},
    {0x3C2, 0x3C2},
}};

enum class letter_case : unsigned char { upper, lower, title };

inline char32_t cased_character(char32_t c, letter_case to) {
    if (c < 0x80) {
        const bool changes = to == letter_case::lower ? c >= 'A' && c <= 'Z' : c >= 'a' && c <= 'z';
        return changes ? c ^ 0x20U : c;
    }
    for (const auto& [first, last] : special_cases) {
        if (c < first || c > last) { continue; }
        std::string shown;
        append_utf8(shown, c);
        fail_template("upper and lower case of '" + shown + "' are not supported");
    }
    const auto code = static_cast<utf8proc_int32_t>(c);
    return static_cast<char32_t>(to == letter_case::upper   ? utf8proc_toupper(code)
                                 : to == letter_case::lower ? utf8proc_tolower(code)
                                                            : utf8proc_totitle(code));
}

inline bool is_upper_letter(char32_t c) {
    return c < 0x80 ? c >= 'A' && c <= 'Z'
                    : utf8proc_isupper(static_cast<utf8proc_int32_t>(c)) != 0;
}
inline bool is_lower_letter(char32_t c) {
    return c < 0x80 ? c >= 'a' && c <= 'z'
                    : utf8proc_islower(static_cast<utf8proc_int32_t>(c)) != 0;
}
inline bool is_cased_letter(char32_t c) {
    return is_upper_letter(c) || is_lower_letter(c) ||
           utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_LT;
}

/// visit(code point) gives the code point that takes its place.
template <class Visit>
std::string mapped_characters(std::string_view s, Visit&& visit) {
    std::string out;
    for (std::size_t at = 0; at < s.size();) {
        const utf8_unit unit = read_utf8(s, at);
        append_utf8(out, visit(unit.value));
        at += unit.length;
    }
    return out;
}

inline std::string cased(std::string_view s, letter_case to) {
    return mapped_characters(s, [to](char32_t c) { return cased_character(c, to); });
}
inline std::string swapped_case(std::string_view s) {
    return mapped_characters(s, [](char32_t c) {
        return cased_character(c, is_upper_letter(c) ? letter_case::lower : letter_case::upper);
    });
}
/// str.capitalize()
inline std::string capitalized(std::string_view s) {
    bool first = true;
    return mapped_characters(s, [&](char32_t c) {
        return cased_character(
            c, std::exchange(first, false) ? letter_case::title : letter_case::lower);
    });
}
/// str.title(): a letter that follows no letter is a capital.
inline std::string titled(std::string_view s) {
    bool inside = false;
    return mapped_characters(s, [&](char32_t c) {
        const bool starts = !std::exchange(inside, is_cased_letter(c));
        return cased_character(c, starts ? letter_case::title : letter_case::lower);
    });
}
/// The filter `title`: words begin behind white space and - ( { [ <.
inline std::string titled_words(std::string_view s) {
    bool starts = true;
    return mapped_characters(s, [&](char32_t c) {
        const bool separates =
            is_python_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
        if (separates) {
            starts = true;
            return c;
        }
        return cased_character(
            c, std::exchange(starts, false) ? letter_case::upper : letter_case::lower);
    });
}

/// str.isupper() or str.islower(): letters with a case, none of the other.
inline bool has_case(std::string_view s, letter_case wanted) {
    bool any = false;
    for (const std::string_view part : characters(s)) {
        const char32_t c = read_utf8(part, 0).value;
        const bool right = wanted == letter_case::upper ? is_upper_letter(c) : is_lower_letter(c);
        if (!right && is_cased_letter(c)) { return false; }
        any = any || right;
    }
    return any;
}

/// str.isalpha, isdigit and their like: not empty, and `holds` of every character.
template <class Holds>
bool all_characters(std::string_view s, Holds&& holds) {
    const auto parts = characters(s);
    return !parts.empty() && std::ranges::all_of(parts, [&](std::string_view part) {
        return holds(read_utf8(part, 0).value);
    });
}
inline bool is_letter(char32_t c) {
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}
inline bool is_decimal_digit(char32_t c) {
    return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_ND;
}
/// isdigit and isnumeric are more than decimal digits: ² ½ 五.
inline bool is_digit_or_refused(char32_t c) {
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    if (category == UTF8PROC_CATEGORY_NO || category == UTF8PROC_CATEGORY_NL ||
        (c >= 0x3400 && category == UTF8PROC_CATEGORY_LO)) {
        fail_template("whether characters beyond ASCII are digits is not supported");
    }
    return category == UTF8PROC_CATEGORY_ND;
}

}  // namespace xlens::detail
