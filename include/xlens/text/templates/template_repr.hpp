// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_budget.hpp>
#include <xlens/text/templates/template_object.hpp>
#include <xlens/text/templates/template_strings.hpp>
#include <xlens/text/templates/template_value.hpp>

#include <fmt/format.h>
#include <utf8proc.h>

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>

// str() and repr() of Python.

namespace xlens::detail {

/// repr of a float: the fewest digits that give it back, with an exponent below 1e-4 and from 1e16.
inline std::string float_text(double x) {
    if (std::isnan(x)) { return "nan"; }
    if (std::isinf(x)) { return x < 0 ? "-inf" : "inf"; }
    char buffer[64];
    const auto end =
        std::to_chars(buffer, buffer + sizeof buffer, x, std::chars_format::scientific);
    std::string_view spelt(buffer, static_cast<std::size_t>(end.ptr - buffer));
    const std::string sign = spelt.starts_with('-') ? "-" : "";
    spelt.remove_prefix(sign.size());
    const std::size_t e = spelt.find('e');
    const int exponent = std::atoi(std::string(spelt.substr(e + 1)).c_str());
    std::string digits(spelt.substr(0, 1));
    if (e > 2) { digits += spelt.substr(2, e - 2); }
    const auto count = static_cast<int>(digits.size());
    if (exponent < -4 || exponent >= 16) {
        if (count > 1) { digits.insert(1, "."); }
        return fmt::format("{}{}e{}{:02}", sign, digits, exponent < 0 ? '-' : '+',
                           std::abs(exponent));
    }
    if (exponent < 0) {
        return sign + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
    }
    if (count <= exponent + 1) {
        return sign + digits + std::string(static_cast<std::size_t>(exponent + 1 - count), '0') +
               ".0";
    }
    return sign + digits.insert(static_cast<std::size_t>(exponent + 1), ".");
}

/// str.isprintable of a character beyond ASCII.
inline bool is_printable(char32_t c) {
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
    return category != UTF8PROC_CATEGORY_CN && category < UTF8PROC_CATEGORY_ZS;
}

inline std::string quoted_text(std::string_view s) {
    const bool has_single = s.find('\'') != std::string_view::npos;
    const char quote = has_single && s.find('"') == std::string_view::npos ? '"' : '\'';
    std::string out(1, quote);
    for (std::size_t at = 0; at < s.size();) {
        const utf8_unit unit = read_utf8(s, at);
        const char32_t c = unit.value;
        const auto code = static_cast<unsigned>(c);
        if (c == static_cast<unsigned char>(quote) || c == '\\') {
            out += '\\';
            out += static_cast<char>(code);
        } else if (c == '\n' || c == '\r' || c == '\t') {
            out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
        } else if (c < 0x20 || c == 0x7F || (c >= 0x80 && !is_printable(c))) {
            out += c < 0x100     ? fmt::format("\\x{:02x}", code)
                   : c < 0x10000 ? fmt::format("\\u{:04x}", code)
                                 : fmt::format("\\U{:08x}", code);
        } else {
            out += s.substr(at, unit.length);
        }
        at += unit.length;
    }
    return out + quote;
}

inline void append_repr(template_budget& budget, std::string& out, const template_value& v);

/// Items between commas, each written by `one`.
template <class Items, class One>
void append_between_commas(std::string& out, const Items& items, One&& one) {
    bool first = true;
    for (const auto& item : items) {
        if (!first) { out += ", "; }
        first = false;
        one(item);
    }
}

inline void append_row(template_budget& budget, std::string& out, const template_list& row) {
    std::string_view before = "[";
    std::string_view after = "]";
    switch (row.form) {
        case list_form::list: break;
        case list_form::tuple:
        case list_form::group:
            before = "(";
            after = row.items.size() == 1 ? ",)" : ")";
            break;
        case list_form::keys: before = "dict_keys(["; break;
        case list_form::values: before = "dict_values(["; break;
        case list_form::items: before = "dict_items(["; break;
        case list_form::range: fail_template("a range as text is not supported");
        case list_form::generator:
            fail_template(
                "a generator (of map, select, items, reverse, ...) as text is not "
                "supported: it has an address in it; | list makes a list of it");
    }
    if (before.size() > 1) { after = "])"; }
    out += before;
    append_between_commas(out, row.items,
                          [&](const template_value& v) { append_repr(budget, out, v); });
    out += after;
}

/// repr(v)
inline void append_repr(template_budget& budget, std::string& out, const template_value& v) {
    budget.step();
    const std::size_t begin = out.size();
    if (v.is_undefined()) {
        out += "Undefined";
    } else if (v.is_none()) {
        out += "None";
    } else if (v.is_boolean()) {
        out += v.boolean() ? "True" : "False";
    } else if (v.is_integer()) {
        out += std::to_string(v.whole());
    } else if (v.is_real()) {
        out += float_text(v.number());
    } else if (v.is_text()) {
        if (v.is_markup()) { out += "Markup("; }
        out += quoted_text(v.text());
        if (v.is_markup()) { out += ")"; }
    } else if (v.is_row()) {
        return append_row(budget, out, v.row());
    } else if (v.is_mapping()) {
        out += "{";
        append_between_commas(out, v.mapping().entries, [&](const auto& entry) {
            append_repr(budget, out, entry.first);
            out += ": ";
            append_repr(budget, out, entry.second);
        });
        out += "}";
        return;
    } else {
        fail_template(std::string(v.object()->what()) + " as text is not supported");
    }
    budget.bytes(out.size() - begin);
}

/// str(v)
inline std::string text_of(template_budget& budget, const template_value& v) {
    if (v.is_text()) { return v.text(); }
    if (v.is_undefined()) { return {}; }
    std::string out;
    append_repr(budget, out, v);
    return out;
}

}  // namespace xlens::detail
