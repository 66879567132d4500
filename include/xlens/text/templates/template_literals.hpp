// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_value.hpp>
#include <xlens/text/utf8.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

// Strings and numbers in the source of a template.

namespace xlens::detail {

/// A literal at the beginning of a text; no bytes where none begins there.
struct template_literal {
    std::size_t bytes = 0;
    template_value value;
    const char* wrong = nullptr;  // why it is refused
};

inline bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

/// Bytes of digits with single _ between them.
inline std::size_t digits_length(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size() && is_ascii_digit(text[at])) {
        ++at;
        if (at + 1 < text.size() && text[at] == '_' && is_ascii_digit(text[at + 1])) { ++at; }
    }
    return at;
}

/// Bytes of a float at the beginning: 1.5, 1e5, 1.5e-5; 0 where there is none.
inline std::size_t float_length(std::string_view text) {
    const auto from = [&](std::size_t at) { return text.substr(std::min(at, text.size())); };
    const std::size_t whole = digits_length(text);
    if (whole == 0) { return 0; }
    std::size_t end = whole;
    if (from(end).starts_with('.')) {
        const std::size_t fraction = digits_length(from(end + 1));
        if (fraction > 0) { end += 1 + fraction; }
    }
    if (from(end).starts_with('e') || from(end).starts_with('E')) {
        const bool sign = from(end + 1).starts_with('+') || from(end + 1).starts_with('-');
        const std::size_t exponent = digits_length(from(end + (sign ? 2 : 1)));
        if (exponent > 0) { return end + (sign ? 2 : 1) + exponent; }
    }
    return end > whole ? end : 0;
}

inline template_literal read_template_number(std::string_view text, bool behind_dot) {
    template_literal out;
    const auto without_lines = [&](std::size_t from, std::size_t to) {
        std::string digits(text.substr(from, to - from));
        std::erase(digits, '_');
        return digits;
    };
    if (const std::size_t length = behind_dot ? 0 : float_length(text)) {
        out.bytes = length;
        out.value = std::strtod(without_lines(0, length).c_str(), nullptr);
        return out;
    }
    int base = 10;
    const char kind = text.size() > 1 && text[0] == '0' ? static_cast<char>(text[1] | 0x20) : ' ';
    if (kind == 'x' || kind == 'o' || kind == 'b') {
        base = kind == 'x' ? 16 : kind == 'o' ? 8 : 2;
    }
    std::size_t begin = base == 10 ? 0 : 2;
    const auto is_digit = [&](char c) {
        const int value = is_ascii_digit(c)                        ? c - '0'
                          : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                                   : 99;
        return value < base;
    };
    const bool zeros = base == 10 && text.starts_with('0');
    std::size_t end = begin;
    while (end < text.size()) {
        const std::size_t digit = text[end] == '_' && (end > 0) ? end + 1 : end;
        if (digit >= text.size() || !is_digit(text[digit]) || (zeros && text[digit] != '0')) {
            break;
        }
        end = digit + 1;
    }
    if (end == begin && base != 10) {  // the 0 alone
        base = 10;
        begin = 0;
        end = 1;
    }
    const std::string digits = without_lines(begin, end);
    std::int64_t number = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
    if (read.ec != std::errc()) { out.wrong = "whole numbers beyond 64 bits are not supported"; }
    out.bytes = end;
    out.value = number;
    return out;
}

/// A code point of `digits` digits in base 16 or, at most so many, in base 8; moves behind them.
inline bool read_escaped_number(std::string_view text, std::size_t& at, std::size_t digits,
                                int base, char32_t& to) {
    std::uint32_t value = 0;
    const std::size_t most = std::min(at + digits, text.size());
    const auto read = std::from_chars(text.data() + at, text.data() + most, value, base);
    const auto length = static_cast<std::size_t>(read.ptr - text.data()) - at;
    if (read.ec != std::errc() || (base == 16 && length != digits)) { return false; }
    at += length;
    to = value;
    return true;
}

/// What stands between the quotes, with Python's escapes.
inline template_literal read_template_string(std::string_view text) {
    template_literal out;
    const char quote = text.front();
    std::string value;
    std::size_t at = 1;
    while (at < text.size() && text[at] != quote) {
        if (text[at] != '\\') {
            value += text[at++];
            continue;
        }
        if (++at == text.size()) { break; }
        constexpr std::string_view letters = "abfnrtv\\'\"";
        constexpr std::string_view meanings = "\a\b\f\n\r\t\v\\'\"";
        const char c = text[at++];
        const std::size_t known = letters.find(c);
        char32_t code = 0;
        if (known != std::string_view::npos) {
            value += meanings[known];
        } else if (c == '\n') {  // the line goes on
        } else if (c == 'x' || c == 'u' || c == 'U' || (c >= '0' && c <= '7')) {
            const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 3;
            const int base = c >= '0' && c <= '7' ? 8 : 16;
            if (base == 8) { --at; }
            if (!read_escaped_number(text, at, digits, base, code)) {
                out.wrong = "an escape in a string has too few digits";
                code = 0;
            } else if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
                out.wrong = "an escape in a string is no character";
                code = 0;
            }
            append_utf8(value, code);
        } else if (c == 'N') {
            out.wrong = "characters by name, \\N{...}, are not supported";
        } else {
            value += '\\';
            value += c;
        }
    }
    if (at >= text.size()) { return {1, {}, "a string does not end"}; }
    out.bytes = at + 1;
    out.value = template_value(std::move(value));
    return out;
}

/// The string or number that `text` begins with. Behind a dot there are no floats.
inline template_literal read_template_literal(std::string_view text, bool behind_dot) {
    if (text.empty()) { return {}; }
    if (text.front() == '\'' || text.front() == '"') { return read_template_string(text); }
    return is_ascii_digit(text.front()) ? read_template_number(text, behind_dot)
                                        : template_literal();
}

}  // namespace xlens::detail
