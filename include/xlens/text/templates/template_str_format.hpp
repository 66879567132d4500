// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_format.hpp>
#include <xlens/text/templates/template_items.hpp>
#include <xlens/text/templates/template_object.hpp>
#include <xlens/text/templates/template_run.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

// str.format, which looks into values.

namespace xlens::detail {

/// The value that a field of str.format names: "", "0", "name", with .attribute and [item] behind.
inline template_value format_field(template_run& run, std::string_view field,
                                   const template_arguments& arguments, std::size_t& next) {
    const std::size_t end = std::min(field.find_first_of(".["), field.size());
    const std::string_view first = field.substr(0, end);
    std::string_view rest = field.substr(end);
    const bool digits = std::ranges::all_of(first, [](char c) { return c >= '0' && c <= '9'; });
    std::optional<template_value> v;
    if (digits) {
        std::size_t at = 0;
        const auto number = static_cast<std::size_t>(digits_at(first, at));
        const std::size_t index = first.empty() ? next++ : number;
        if (index >= arguments.positional.size()) {
            fail_template(".format(): there is no argument " + std::to_string(index));
        }
        v = arguments.positional[index];
    } else if (const template_value* named = arguments.find(first)) {
        v = *named;
    } else {
        fail_template(".format(): there is no argument '" + std::string(first) + "'");
    }
    while (!rest.empty()) {
        if (rest.front() == '[') {
            const std::size_t close = rest.find(']');
            if (close == std::string_view::npos) { fail_template(".format(): expected ]"); }
            const std::string_view key = rest.substr(1, close - 1);
            std::size_t at = 0;
            const std::int64_t number = digits_at(key, at);
            const bool whole = !key.empty() && at == key.size();
            v = item_of(run, *v, whole ? template_value(number) : template_value(key));
            rest.remove_prefix(close + 1);
        } else if (rest.front() == '.') {
            const std::size_t stop = std::min(rest.find_first_of(".[", 1), rest.size());
            v = member_of(run, *v, template_value(rest.substr(1, stop - 1)));
            rest.remove_prefix(stop);
        } else {
            fail_template(".format(): cannot read '" + std::string(rest) + "'");
        }
    }
    return *v;
}

inline template_value format_text(template_run& run, const std::string& format,
                                  const template_arguments& arguments) {
    std::string out;
    std::size_t next = 0;
    for (std::size_t at = 0; at < format.size();) {
        const char c = format[at++];
        if (c != '{' && c != '}') {
            out += c;
            continue;
        }
        if (at < format.size() && format[at] == c) {
            out += c;
            ++at;
            continue;
        }
        const std::size_t close = format.find('}', at);
        if (c == '}' || close == std::string::npos) {
            fail_template(".format(): a single '" + std::string(1, c) + "' in the text");
        }
        std::string_view field = std::string_view(format).substr(at, close - at);
        at = close + 1;
        const std::size_t colon = field.find(':');
        const std::string_view spec =
            colon == std::string_view::npos ? "" : field.substr(colon + 1);
        if (spec.find('{') != std::string_view::npos) {
            fail_template(".format(): fields inside of fields are not supported");
        }
        field = field.substr(0, colon);
        char conversion = 0;
        if (field.size() >= 2 && field[field.size() - 2] == '!') {
            conversion = field.back();
            field.remove_suffix(2);
        }
        template_value v = format_field(run, field, arguments, next);
        if (conversion == 'r') {
            std::string text;
            append_repr(run.budget, text, v);
            v = std::move(text);
        } else if (conversion == 's') {
            v = text_of(run.budget, v);
        } else if (conversion != 0) {
            fail_template(std::string(".format(): '!") + conversion + "' is not supported");
        }
        out += formatted(run.budget, v, read_format_spec(spec));
    }
    return run.made(out);
}

}  // namespace xlens::detail
