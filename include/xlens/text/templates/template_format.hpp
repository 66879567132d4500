// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_budget.hpp>
#include <xlens/text/templates/template_compare.hpp>
#include <xlens/text/templates/template_repr.hpp>
#include <xlens/text/templates/template_strings.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

// What stands between { and } of str.format, and behind % of str % values: how a value is spelt.

namespace xlens::detail {

/// [fill][align][sign][0][width][,][.precision][type]
struct format_spec {
    std::string fill = " ";
    char align = 0;  // < > ^ =
    char sign = '-';
    std::int64_t width = 0;
    bool commas = false;
    int precision = -1;
    char type = 0;
};

/// Decimal digits at `at`, which moves behind them.
inline std::int64_t digits_at(std::string_view text, std::size_t& at) {
    constexpr std::int64_t most = 1'000'000'000;
    std::int64_t out = 0;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
        out = std::min(most, out * 10 + (text[at++] - '0'));
    }
    return out;
}

inline format_spec read_format_spec(std::string_view text) {
    const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
    format_spec out;
    std::size_t at = 0;
    const std::size_t first = text.empty() ? 0 : read_utf8(text, 0).length;
    if (first < text.size() && is_align(text[first])) {
        out.fill = text.substr(0, first);
        out.align = text[first];
        at = first + 1;
    } else if (!text.empty() && is_align(text[0])) {
        out.align = text[at++];
    }
    const auto accept = [&](char c) {
        const bool found = at < text.size() && text[at] == c;
        at += found ? 1 : 0;
        return found;
    };
    for (const char sign : {'+', '-', ' '}) {
        if (accept(sign)) { out.sign = sign; }
    }
    if (accept('0') && out.align == 0) {
        out.fill = "0";
        out.align = '=';
    }
    out.width = digits_at(text, at);
    out.commas = accept(',');
    if (accept('.')) {
        const std::size_t before = at;
        out.precision = static_cast<int>(digits_at(text, at));
        if (at == before) {
            fail_template("format: expected digits behind . of '" + std::string(text) + "'");
        }
    }
    if (at < text.size()) { out.type = text[at++]; }
    if (at != text.size()) {
        fail_template("format: '" + std::string(text) + "' is not supported");
    }
    return out;
}

/// The digits of a number without its sign.
inline std::string number_digits(const template_value& v, const format_spec& spec) {
    char type = spec.type;
    if (v.is_whole() && (type == 0 || type == 'd' || type == 'x' || type == 'X' || type == 'o')) {
        if (spec.precision >= 0) { fail_template("format: a whole number has no precision"); }
        const std::int64_t n = v.whole();
        const std::uint64_t size =
            n < 0 ? ~static_cast<std::uint64_t>(n) + 1 : static_cast<std::uint64_t>(n);
        return type == 'x'   ? fmt::format("{:x}", size)
               : type == 'X' ? fmt::format("{:X}", size)
               : type == 'o' ? fmt::format("{:o}", size)
                             : std::to_string(size);
    }
    const double x = std::abs(v.number());
    if (type == 0 && spec.precision < 0) { return float_text(x); }
    constexpr int most_digits = 300;
    const int precision = spec.precision < 0 ? 6 : spec.precision;
    if (precision > most_digits || std::string_view("fFeE%").find(type) == std::string_view::npos ||
        type == 0 || !std::isfinite(x)) {
        fail_template(std::string("format: type '") + (type == 0 ? ' ' : type) + "' of a '" +
                      type_name(v) + "' is not supported");
    }
    char buffer[1024];
    const double shown = type == '%' ? x * 100 : x;
    const bool exponent = type == 'e' || type == 'E';
    const int length = exponent ? std::snprintf(buffer, sizeof buffer,
                                                type == 'e' ? "%.*e" : "%.*E", precision, shown)
                                : std::snprintf(buffer, sizeof buffer, "%.*f", precision, shown);
    return std::string(buffer, static_cast<std::size_t>(length)) + (type == '%' ? "%" : "");
}

inline std::string with_commas(std::string digits) {
    const auto end = std::min(digits.find_first_not_of("0123456789"), digits.size());
    for (std::size_t at = end; at > 3; at -= 3) { digits.insert(at - 3, ","); }
    return digits;
}

inline std::string formatted(template_budget& budget, const template_value& v,
                             const format_spec& spec) {
    const bool as_text =
        v.is_text() || v.is_none() || v.is_undefined() || (v.is_boolean() && spec.type == 0);
    if (!v.is_number() && !as_text) {
        if (spec.width == 0 && spec.type == 0) { return text_of(budget, v); }
        fail_template("format: a width or type of a '" + type_name(v) + "' is not supported");
    }
    if (as_text) {
        if ((spec.type != 0 && spec.type != 's') || spec.align == '=' || spec.commas ||
            (!v.is_text() && spec.width != 0)) {
            fail_template("format: this format of a '" + type_name(v) + "' is not supported");
        }
        std::string_view s = v.is_text() ? std::string_view(v.text()) : std::string_view();
        const std::string other = v.is_text() ? std::string() : text_of(budget, v);
        if (!v.is_text()) { s = other; }
        if (spec.precision >= 0) {
            s = s.substr(0, character_offset(s, static_cast<std::size_t>(spec.precision)));
        }
        if (spec.align == '^') {  // unlike str.center, the odd one stands at the right
            const auto missing = spec.width - static_cast<std::int64_t>(count_characters(s));
            const std::string left = repeated(budget, spec.fill, missing / 2);
            return padded(budget, left + std::string(s), spec.width, padding::right, spec.fill);
        }
        return padded(budget, s, spec.width, spec.align == '>' ? padding::left : padding::right,
                      spec.fill);
    }
    std::string digits = number_digits(v, spec);
    if (spec.commas) {
        if (spec.align == '=' || spec.type == 'x' || spec.type == 'X' || spec.type == 'o') {
            fail_template("format: commas with zeros or another base are not supported");
        }
        digits = with_commas(std::move(digits));
    }
    const std::string sign = std::signbit(v.number()) ? "-"
                             : spec.sign == '-'       ? std::string()
                                                      : std::string(1, spec.sign);
    const auto missing = spec.width - static_cast<std::int64_t>(sign.size() + digits.size());
    if (spec.align == '=') { return sign + repeated(budget, spec.fill, missing) + digits; }
    const std::string whole = sign + digits;
    if (spec.align == '<') { return padded(budget, whole, spec.width, padding::right, spec.fill); }
    if (spec.align == '^') {
        const std::string left = repeated(budget, spec.fill, missing / 2);
        return padded(budget, left + whole, spec.width, padding::right, spec.fill);
    }
    return padded(budget, whole, spec.width, padding::left, spec.fill);
}

/// format % values
inline std::string percent_formatted(template_budget& budget, std::string_view format,
                                     const template_value& values) {
    const bool several = values.is_row(list_form::tuple) || values.is_row(list_form::group);
    const std::size_t count = several ? values.row().items.size() : 1;
    std::size_t next = 0;
    std::string out;
    for (std::size_t at = 0; at < format.size();) {
        if (format[at] != '%') {
            out += format[at++];
            continue;
        }
        if (++at < format.size() && format[at] == '%') {
            out += format[at++];
            continue;
        }
        format_spec spec;
        spec.align = '>';
        for (; at < format.size() && std::string_view("-+ 0").find(format[at]) < 4; ++at) {
            if (format[at] == '-') { spec.align = '<'; }
            if (format[at] == '0' && spec.align != '<') {
                spec.align = '=';
                spec.fill = "0";
            }
            if (format[at] == '+' || format[at] == ' ') { spec.sign = format[at]; }
        }
        spec.width = digits_at(format, at);
        if (at < format.size() && format[at] == '.') {
            spec.precision = static_cast<int>(digits_at(format, ++at));
        }
        const char type = at < format.size() ? format[at++] : ' ';
        if (next >= count) { fail_template("not enough arguments for format string"); }
        const template_value& v = several ? values.row().items[next] : values;
        ++next;
        if (type == 's' || type == 'r') {
            std::string text;
            if (type == 'r') { append_repr(budget, text, v); }
            if (spec.align == '=') { spec.align = '>', spec.fill = " "; }
            out += formatted(budget, type == 'r' ? text : text_of(budget, v), spec);
            continue;
        }
        const bool whole = type == 'd' || type == 'i' || type == 'u' || type == 'x' || type == 'X';
        const bool real = type == 'f' || type == 'F' || type == 'e' || type == 'E';
        if ((!whole && !real) || (whole && (spec.precision >= 0 || !v.is_whole()))) {
            if (v.is_undefined()) { v.fail_undefined(); }
            fail_template(std::string("'%") + type + "' of a '" + type_name(v) +
                          "' is not supported");
        }
        if (!v.is_number()) { fail_template("'%' needs a number, got '" + type_name(v) + "'"); }
        spec.type = type == 'i' || type == 'u' ? 'd' : type;
        out += formatted(budget, v, spec);
    }
    if (next < count && (several || (!values.is_mapping() && !values.is_row(list_form::list)))) {
        fail_template("not all arguments converted during string formatting");
    }
    budget.bytes(out.size());
    return out;
}

}  // namespace xlens::detail
