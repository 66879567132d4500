// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_arithmetic.hpp>
#include <xlens/text/templates/template_case.hpp>
#include <xlens/text/templates/template_items.hpp>
#include <xlens/text/templates/template_json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

// Filters of Jinja that look at one value; those of lists are in template_list_filters.hpp.

namespace xlens::detail {

/// v | name(arguments)
using template_filter = template_value (*)(template_run&, const template_value&,
                                           const template_arguments&);

/// str(v) changed by `change`; marked as safe if v is.
template <class Change>
template_value changed_text(template_run& run, const template_value& v,
                            const template_arguments& given, Change&& change) {
    bind_arguments("a filter of a text", given, {});
    return {change(text_of(run.budget, v)), v.is_markup()};
}

inline template_value length_of(template_run& /*run*/, const template_value& v,
                                const template_arguments& given) {
    bind_arguments("length", given, {});
    if (v.is_undefined()) { return 0; }
    if (v.is_text()) { return count_characters(v.text()); }
    if (v.is_mapping()) { return v.mapping().entries.size(); }
    if (!v.is_row() || v.is_row(list_form::generator)) {
        fail_template("length: a '" + type_name(v) + "' has no length");
    }
    return v.row().items.size();
}

inline template_value default_of(template_run& /*run*/, const template_value& v,
                                 const template_arguments& given) {
    const auto a = bind_arguments("default", given, {"default_value", "boolean"});
    const bool missing = v.is_undefined() || (a[1] != nullptr && truth(*a[1]) && !truth(v));
    return !missing ? v : a[0] != nullptr ? *a[0] : "";
}

inline template_value trimmed(template_run& run, const template_value& v,
                              const template_arguments& given) {
    const auto a = bind_arguments("trim", given, {"chars"});
    const std::string text = text_of(run.budget, v);
    if (a[0] == nullptr || a[0]->is_none()) { return {std::string(strip(text)), v.is_markup()}; }
    if (!a[0]->is_text()) { fail_template("trim: expected a str"); }
    return {std::string(strip(text, true, true, a[0]->text())), v.is_markup()};
}

inline template_value replace_in(template_run& run, const template_value& v,
                                 const template_arguments& given) {
    const auto a = bind_arguments("replace", given, {"old", "new", "count"});
    if (a[0] == nullptr || a[1] == nullptr) { fail_template("replace: expected two texts"); }
    std::size_t limit = no_limit;
    if (a[2] != nullptr && !a[2]->is_none()) {
        if (!a[2]->is_whole()) { fail_template("replace: expected a whole number as count"); }
        if (a[2]->whole() >= 0) { limit = static_cast<std::size_t>(a[2]->whole()); }
    }
    return replaced(run.budget, text_of(run.budget, v), text_of(run.budget, *a[0]),
                    text_of(run.budget, *a[1]), limit);
}

/// A number that the whole text, without white space around, spells as Python's int or float do.
template <class Number>
bool read_number(std::string_view text, Number& to) {
    text = strip(text);
    if (text.find_first_not_of("0123456789+-.eE") != std::string_view::npos) {
        const auto is_strange = [](char c) { return c == '_' || (c & 0x80) != 0; };
        const auto is_letter = [](char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; };
        if (std::ranges::any_of(text, is_strange) && std::ranges::none_of(text, is_letter)) {
            fail_template("numbers with _ or digits beyond ASCII are not supported");
        }
        return false;
    }
    if (text.starts_with('+')) {
        text.remove_prefix(1);
        if (text.starts_with('-')) { return false; }
    }
    const auto read = std::from_chars(text.data(), text.data() + text.size(), to);
    if (read.ec == std::errc::result_out_of_range) {
        fail_template("numbers beyond 64 bits are not supported");
    }
    return read.ec == std::errc() && read.ptr == text.data() + text.size();
}

inline template_value int_of(template_run& /*run*/, const template_value& v,
                             const template_arguments& given) {
    const auto a = bind_arguments("int", given, {"default", "base"});
    if (a[1] != nullptr && !(a[1]->is_integer() && a[1]->whole() == 10)) {
        fail_template("int: a base other than 10 is not supported");
    }
    if (v.is_undefined()) { v.fail_undefined(); }
    const template_value otherwise = a[0] != nullptr ? *a[0] : 0;
    double real = 0;
    if (v.is_whole()) { return v.whole(); }
    if (v.is_text()) {
        std::int64_t whole = 0;
        if (read_number(v.text(), whole)) { return whole; }
        if (!read_number(v.text(), real)) { return otherwise; }
    } else if (v.is_real()) {
        real = v.number();
    } else {
        return otherwise;
    }
    if (!std::isfinite(real)) { return otherwise; }
    if (std::abs(real) >= 9.2e18) { fail_template("numbers beyond 64 bits are not supported"); }
    return static_cast<std::int64_t>(real);
}

inline template_value float_of(template_run& /*run*/, const template_value& v,
                               const template_arguments& given) {
    const auto a = bind_arguments("float", given, {"default"});
    if (v.is_undefined()) { v.fail_undefined(); }
    if (v.is_number()) { return v.number(); }
    double out = 0;
    if (v.is_text()) {
        const std::string word = cased(strip(v.text()), letter_case::lower);
        if (word.ends_with("inf") || word.ends_with("nan") || word.ends_with("infinity")) {
            fail_template("float: '" + v.text() + "' is not supported");
        }
        if (read_number(v.text(), out)) { return out; }
    }
    return a[0] != nullptr ? *a[0] : template_value(0.0);
}

/// round(v, precision), half to even, or with method 'ceil' or 'floor'.
inline template_value rounded(template_run& /*run*/, const template_value& v,
                              const template_arguments& given) {
    const auto a = bind_arguments("round", given, {"precision", "method"});
    if (v.is_undefined()) { v.fail_undefined(); }
    if (!v.is_number() || (a[0] != nullptr && !a[0]->is_whole())) {
        fail_template("round: expected a number, got '" + type_name(v) + "'");
    }
    const std::int64_t precision = a[0] != nullptr ? a[0]->whole() : 0;
    const std::string method = a[1] != nullptr && a[1]->is_text() ? a[1]->text() : "common";
    if (method != "common" && method != "ceil" && method != "floor") {
        fail_template("round: method must be common, ceil or floor");
    }
    constexpr std::int64_t most = 15;
    if (precision < 0 || precision > most) {
        fail_template("round: a precision below 0 or above 15 is not supported");
    }
    if (method == "common") {
        if (v.is_whole()) { return v.whole(); }
        if (!std::isfinite(v.number())) { return v; }
        // The decimal that the exact value is nearest to, as CPython.
        char digits[400];
        std::snprintf(digits, sizeof digits, "%.*f", static_cast<int>(precision), v.number());
        return std::strtod(digits, nullptr);
    }
    const double scale = std::pow(10.0, static_cast<double>(precision));
    const double scaled = v.number() * scale;
    return (method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale;
}

inline template_value absolute(template_run& run, const template_value& v,
                               const template_arguments& given) {
    bind_arguments("abs", given, {});
    if (v.is_undefined()) { v.fail_undefined(); }
    if (!v.is_number()) { fail_template("abs: expected a number, got '" + type_name(v) + "'"); }
    if (v.is_real()) { return std::abs(v.number()); }
    (void)run;
    return v.whole() < 0 ? negated(v, true) : template_value(v.whole());
}

/// Lines behind the first begin with an indent; empty ones do not, unless `blank`.
inline template_value indented(template_run& run, const template_value& v,
                               const template_arguments& given) {
    const auto a = bind_arguments("indent", given, {"width", "first", "blank"});
    std::string indent(4, ' ');
    if (a[0] != nullptr) {
        if (!a[0]->is_text() && !a[0]->is_whole()) { fail_template("indent: expected a width"); }
        indent = a[0]->is_text() ? a[0]->text() : repeated(run.budget, " ", a[0]->whole());
    }
    const bool first = a[1] != nullptr && truth(*a[1]);
    const bool blank = a[2] != nullptr && truth(*a[2]);
    if (v.is_undefined()) { v.fail_undefined(); }
    if (v.is_markup() || !v.is_text()) {
        fail_template("indent: a '" + type_name(v) + "' that is no plain str is not supported");
    }
    const std::string text = v.text() + "\n";  // Jinja's own quirk
    std::string out = first ? indent : "";
    const auto lines = split_lines(text, false);
    run.budget.bytes(lines.size(), indent.size() + 1);
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (i > 0) { out += '\n'; }
        if (i > 0 && (blank || !lines[i].empty())) { out += indent; }
        out += lines[i];
    }
    return out;
}

inline template_value centred(template_run& run, const template_value& v,
                              const template_arguments& given) {
    const auto a = bind_arguments("center", given, {"width"});
    if (a[0] != nullptr && !a[0]->is_whole()) { fail_template("center: expected a width"); }
    return padded(run.budget, text_of(run.budget, v), a[0] != nullptr ? a[0]->whole() : 80,
                  padding::both);
}

/// text % (arguments)
inline template_value format_filter(template_run& run, const template_value& v,
                                    const template_arguments& given) {
    if (!given.named.empty()) { fail_template("format: names are not supported"); }
    return remainder_of(run, v.is_text() ? v : template_value(text_of(run.budget, v)),
                        template_value(given.positional, list_form::tuple));
}

inline template_value attribute_filter(template_run& run, const template_value& v,
                                       const template_arguments& given) {
    const auto a = bind_arguments("attr", given, {"name"});
    if (a[0] == nullptr || !a[0]->is_text()) { fail_template("attr: expected a name"); }
    if (auto found = python_attribute(run, v, a[0]->text())) { return *std::move(found); }
    return missing_item(run, v, *a[0]);
}

}  // namespace xlens::detail
