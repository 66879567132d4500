// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/unicode.hpp>
#include <xlens/text/utf8.hpp>

#include <utf8proc.h>

#include <cstddef>
#include <string_view>
#include <vector>

namespace xlens {

/// How runs of digits are cut into groups of three, counted from their end, in one pass: as a
/// pattern this needs a look-ahead over the whole run at each digit.
enum class digit_grouping {
    inside,  // (?=(\d{3})+(?!\d)): before each whole group (SuperBPE)
    words,   // \d{1,3}(?=(?:\d{3})*\b): each group a piece, unless a letter follows (Tiny Aya)
    after,   // behind each group; text before the first group stays with it (AFMoE in llama.cpp)
};

namespace detail {

inline bool is_grouped_digit(digit_grouping how, char32_t c) {
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    return category == UTF8PROC_CATEGORY_ND ||
           (how == digit_grouping::after &&
            (category == UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_NO));
}

/// Whether \b lies between a digit and what follows at `at`.
inline bool word_ends(std::string_view text, std::size_t at) {
    if (at == text.size()) { return true; }
    const char32_t c = read_utf8(text, at).value;
    const bool joiner = c == 0x200C || c == 0x200D;
    const bool latin = c == 0xB2 || c == 0xB3 || c == 0xB9 || (c >= 0xBC && c <= 0xBE);
    return joiner || !(is_word(c) || latin);
}

}  // namespace detail

/// Where valid UTF-8 is cut, in order; 0 and the end may be among them. O(bytes).
/// Source: the patterns of llama.cpp's `superbpe`, `tiny_aya` and `afmoe`.
inline std::vector<std::size_t> digit_cuts(digit_grouping how, std::string_view text) {
    std::vector<std::size_t> cuts;
    std::vector<std::size_t> starts;  // of the run's digits
    for (std::size_t at = 0; at <= text.size();) {
        const utf8_unit unit = at < text.size() ? read_utf8(text, at) : utf8_unit{0, 1, false};
        if (unit.valid && detail::is_grouped_digit(how, unit.value)) {
            starts.push_back(at);
        } else if (!starts.empty()) {
            const bool all = how == digit_grouping::words;
            starts.push_back(at);
            const std::size_t count = starts.size() - 1;
            const bool grouped = !all || detail::word_ends(text, at);
            for (std::size_t i = 0; grouped && i <= count; ++i) {
                const bool edge = i == 0 ? how != digit_grouping::after
                                         : i < count || how != digit_grouping::inside;
                const bool group = (count - i) % 3 == 0 || (all && i == 0);
                if (edge && group) { cuts.push_back(starts[i]); }
            }
            starts.clear();
        }
        at += unit.length;
    }
    return cuts;
}

}  // namespace xlens
