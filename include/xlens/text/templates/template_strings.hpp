// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_budget.hpp>
#include <xlens/text/templates/template_value.hpp>
#include <xlens/text/unicode.hpp>
#include <xlens/text/utf8.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Strings as Python has them: a character is a code point. All are valid UTF-8.

namespace xlens::detail {

/// str.isspace: White_Space, and four separators of ASCII.
inline bool is_python_space(char32_t c) { return is_white_space(c) || (c >= 0x1C && c <= 0x1F); }

inline std::size_t count_characters(std::string_view s) {
    return static_cast<std::size_t>(
        std::ranges::count_if(s, [](char c) { return (c & 0xC0) != 0x80; }));
}

/// The byte at which character `index` begins; the end of the text if there are fewer.
inline std::size_t character_offset(std::string_view s, std::size_t index) {
    if (index >= s.size()) { return s.size(); }
    for (std::size_t at = 0; at < s.size(); ++at) {
        if ((s[at] & 0xC0) != 0x80 && index-- == 0) { return at; }
    }
    return s.size();
}

/// The characters of a text, one after another.
inline std::vector<std::string_view> characters(std::string_view s) {
    std::vector<std::string_view> out;
    for (std::size_t at = 0; at < s.size();) {
        const std::size_t length = read_utf8(s, at).length;
        out.push_back(s.substr(at, length));
        at += length;
    }
    return out;
}

/// Without the characters at the left and right of which `drops` holds.
template <class Drops>
std::string_view strip_if(std::string_view s, bool left, bool right, Drops&& drops) {
    while (left && !s.empty()) {
        const utf8_unit unit = read_utf8(s, 0);
        if (!drops(unit.value)) { break; }
        s.remove_prefix(unit.length);
    }
    while (right && !s.empty()) {
        const utf8_unit unit = last_utf8(s);
        if (!drops(unit.value)) { break; }
        s.remove_suffix(unit.length);
    }
    return s;
}
inline std::string_view strip(std::string_view s, bool left = true, bool right = true) {
    return strip_if(s, left, right, is_python_space);
}
inline std::string_view strip(std::string_view s, bool left, bool right, std::string_view what) {
    std::vector<char32_t> drops;
    for (const std::string_view c : characters(what)) { drops.push_back(read_utf8(c, 0).value); }
    return strip_if(s, left, right,
                    [&](char32_t c) { return std::ranges::find(drops, c) != drops.end(); });
}

constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

/// str.split(by, limit) or, from the right, str.rsplit(by, limit).
inline std::vector<std::string_view> split_at(std::string_view s, std::string_view by,
                                              std::size_t limit, bool from_right) {
    std::vector<std::string_view> out;
    while (out.size() < limit) {
        const std::size_t at = from_right ? s.rfind(by) : s.find(by);
        if (at == std::string_view::npos) { break; }
        out.push_back(from_right ? s.substr(at + by.size()) : s.substr(0, at));
        s = from_right ? s.substr(0, at) : s.substr(at + by.size());
    }
    out.push_back(s);
    if (from_right) { std::ranges::reverse(out); }
    return out;
}

/// str.split(None, limit), at runs of white space, or str.rsplit(None, limit).
inline std::vector<std::string_view> split_words(std::string_view s, std::size_t limit,
                                                 bool from_right) {
    std::vector<std::string_view> out;
    while (true) {
        s = strip(s, !from_right, from_right);
        if (s.empty()) { break; }
        if (out.size() == limit) {
            out.push_back(s);  // with the white space at its other end
            break;
        }
        const auto is_no_space = [](char32_t c) { return !is_python_space(c); };
        const std::string_view rest = strip_if(s, !from_right, from_right, is_no_space);
        const std::size_t length = s.size() - rest.size();
        out.push_back(from_right ? s.substr(rest.size()) : s.substr(0, length));
        s = rest;
    }
    if (from_right) { std::ranges::reverse(out); }
    return out;
}

/// str.splitlines(keep)
inline std::vector<std::string_view> split_lines(std::string_view s, bool keep) {
    std::vector<std::string_view> out;
    std::size_t begin = 0;
    for (std::size_t at = 0; at < s.size();) {
        const utf8_unit unit = read_utf8(s, at);
        const char32_t c = unit.value;
        const bool ends = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 ||
                          c == 0x2028 || c == 0x2029;
        std::size_t next = at + unit.length;
        if (ends) {
            if (c == '\r' && next < s.size() && s[next] == '\n') { ++next; }
            out.push_back(s.substr(begin, (keep ? next : at) - begin));
            begin = next;
        }
        at = next;
    }
    if (begin < s.size()) { out.push_back(s.substr(begin)); }
    return out;
}

/// How often `what` stands in `s`, one after another; an empty one between all characters.
inline std::size_t count_of(std::string_view s, std::string_view what) {
    if (what.empty()) { return count_characters(s) + 1; }
    std::size_t out = 0;
    for (std::size_t at = s.find(what); at != std::string_view::npos;
         at = s.find(what, at + what.size())) {
        ++out;
    }
    return out;
}

/// str.replace(from, to, limit)
inline std::string replaced(template_budget& budget, std::string_view s, std::string_view from,
                            std::string_view to, std::size_t limit = no_limit) {
    budget.bytes(s.size());
    budget.bytes(std::min(count_of(s, from), limit), to.size());
    std::string out;
    if (from.empty()) {
        const auto parts = characters(s);
        for (std::size_t i = 0; i <= parts.size(); ++i) {
            if (i < limit) { out += to; }
            if (i < parts.size()) { out += parts[i]; }
        }
        return out;
    }
    for (std::size_t at = s.find(from); at != std::string_view::npos && limit > 0; --limit) {
        out.append(s.substr(0, at)).append(to);
        s.remove_prefix(at + from.size());
        at = s.find(from);
    }
    return out.append(s);
}

inline std::string repeated(template_budget& budget, std::string_view s, std::int64_t times) {
    if (times <= 0 || s.empty()) { return {}; }
    budget.bytes(static_cast<std::size_t>(times), s.size());
    std::string out;
    for (std::int64_t i = 0; i < times; ++i) { out += s; }
    return out;
}

/// `s` among `fill` so that it has `width` characters; `left` of 0, 1 or ½ of what is missing
/// stands at its left, as str.ljust, str.rjust and str.center have it.
enum class padding : unsigned char { right, left, both };
inline std::string padded(template_budget& budget, std::string_view s, std::int64_t width,
                          padding where, std::string_view fill = " ") {
    const auto length = static_cast<std::int64_t>(count_characters(s));
    const std::int64_t missing = std::max<std::int64_t>(width - length, 0);
    const std::int64_t odd = missing & width & 1;  // CPython's rule
    const std::int64_t left = where == padding::right  ? 0
                              : where == padding::left ? missing
                                                       : missing / 2 + odd;
    std::string out = repeated(budget, fill, left);
    out += s;
    return out + repeated(budget, fill, missing - left);
}

/// & < > " ' as HTML spells them.
inline std::string html_escaped(std::string_view s) {
    std::string out;
    for (const char c : s) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&#34;"; break;
            case '\'': out += "&#39;"; break;
            default: out += c;
        }
    }
    return out;
}

}  // namespace xlens::detail
