// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// The values of a template, as Python and Jinja treat them. What is not defined is a discarded JSON
// value.

namespace xlens::detail {

using template_value = nlohmann::json;

[[noreturn]] inline void fail_template(std::string_view what) {
    fail("chat template: {}", printable(what, 200));
}

// Parentheses: braces would make a list of it.
inline template_value undefined() { return template_value(template_value::value_t::discarded); }

inline bool truth(const template_value& v) {
    if (v.is_discarded() || v.is_null()) { return false; }
    if (v.is_boolean()) { return v.get<bool>(); }
    if (v.is_number()) { return v.get<double>() != 0.0; }
    if (v.is_string()) { return !v.get_ref<const std::string&>().empty(); }
    return !v.empty();
}

/// str(v)
inline std::string text_of(const template_value& v) {
    if (v.is_discarded()) { return {}; }
    if (v.is_string()) { return v.get<std::string>(); }
    if (v.is_null()) { return "None"; }
    if (v.is_boolean()) { return v.get<bool>() ? "True" : "False"; }
    if (v.is_structured()) { fail_template("a list or object cannot be written as text"); }
    return v.dump();
}

inline const std::string& string_in(const template_value& v, std::string_view use) {
    if (!v.is_string()) { fail_template(std::string(use) + ": expected a string"); }
    return v.get_ref<const std::string&>();
}

/// Without the characters of `what` at the left and right, as asked for. Python strips more
/// characters beyond ASCII than these.
inline std::string strip(std::string_view s, bool left, bool right,
                         std::string_view what = " \t\n\r\v\f") {
    const auto first = left ? s.find_first_not_of(what) : 0;
    if (first == std::string_view::npos) { return {}; }
    s.remove_prefix(first);
    if (right) { s = s.substr(0, s.find_last_not_of(what) + 1); }
    return std::string(s);
}

inline template_value split(std::string_view s, std::string_view by) {
    if (by.empty()) { fail_template("split: expected a separator"); }
    template_value out = template_value::array();
    while (true) {
        const std::size_t at = s.find(by);
        out.push_back(std::string(s.substr(0, at)));
        if (at == std::string_view::npos) { return out; }
        s.remove_prefix(at + by.size());
    }
}

inline std::string replaced(std::string_view s, std::string_view from, std::string_view to) {
    if (from.empty()) { return std::string(s); }
    std::string out;
    for (std::size_t at = s.find(from); at != std::string_view::npos; at = s.find(from)) {
        out.append(s.substr(0, at)).append(to);
        s.remove_prefix(at + from.size());
    }
    return out.append(s);
}

inline std::string cased(std::string s, int (*change)(int)) {
    std::transform(s.begin(), s.end(), s.begin(), [change](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x80 ? static_cast<char>(change(byte)) : c;
    });
    return s;
}

/// v[key]; undefined where there is no such thing.
inline template_value item_of(const template_value& v, const template_value& key) {
    if (v.is_object() && key.is_string()) {
        const auto found = v.find(key.get_ref<const std::string&>());
        return found == v.end() ? undefined() : *found;
    }
    if (v.is_array() && key.is_number_integer()) {
        const auto size = static_cast<std::int64_t>(v.size());
        const auto at = key.get<std::int64_t>();
        const auto i = at < 0 ? at + size : at;
        return i < 0 || i >= size ? undefined() : v[static_cast<std::size_t>(i)];
    }
    return undefined();
}

/// v[first:last], with the defaults where they are undefined.
inline template_value slice_of(const template_value& v, const template_value& first,
                               const template_value& last) {
    if (!v.is_array() && !v.is_string()) { fail_template("only lists and strings have slices"); }
    const std::size_t length = v.is_array() ? v.size() : v.get_ref<const std::string&>().size();
    const auto size = static_cast<std::int64_t>(length);
    const auto bound = [&](const template_value& at, std::int64_t otherwise) {
        if (!at.is_number_integer()) { return otherwise; }
        const auto i = at.get<std::int64_t>();
        return std::clamp<std::int64_t>(i < 0 ? i + size : i, 0, size);
    };
    const auto begin = bound(first, 0);
    const auto end = std::max(begin, bound(last, size));
    if (v.is_array()) {
        return template_value(template_value::array_t(v.begin() + begin, v.begin() + end));
    }
    const auto& s = v.get_ref<const std::string&>();
    return s.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
}

/// Whether `v` is in a list, an object's keys or a string.
inline bool contains_value(const template_value& in, const template_value& v) {
    if (in.is_array()) { return std::find(in.begin(), in.end(), v) != in.end(); }
    if (in.is_object()) { return v.is_string() && in.contains(v.get_ref<const std::string&>()); }
    if (!in.is_string()) { return false; }
    return in.get_ref<const std::string&>().find(string_in(v, "in")) != std::string::npos;
}

/// v.name(arguments), a method of a Python string or dictionary.
inline template_value call_method(const template_value& v, std::string_view name,
                                  const std::vector<template_value>& arguments) {
    const auto argument = [&](std::size_t i) {
        return i < arguments.size() ? arguments[i] : undefined();
    };
    if (v.is_object() && name == "get") {
        const template_value found = item_of(v, argument(0));
        return found.is_discarded() ? (arguments.size() > 1 ? arguments[1] : nullptr) : found;
    }
    if (v.is_object() && name == "items") {
        template_value out = template_value::array();
        for (const auto& item : v.items()) { out.push_back({item.key(), item.value()}); }
        return out;
    }
    if (v.is_string()) {
        const auto& s = v.get_ref<const std::string&>();
        const auto text = [&](std::size_t i) { return string_in(argument(i), name); };
        const std::string what = arguments.empty() ? " \t\n\r\v\f" : text(0);
        if (name == "strip") { return strip(s, true, true, what); }
        if (name == "lstrip") { return strip(s, true, false, what); }
        if (name == "rstrip") { return strip(s, false, true, what); }
        if (name == "startswith") { return s.starts_with(text(0)); }
        if (name == "endswith") { return s.ends_with(text(0)); }
        if (name == "upper") { return cased(s, std::toupper); }
        if (name == "lower") { return cased(s, std::tolower); }
        if (name == "split") { return split(s, text(0)); }
        if (name == "replace") { return replaced(s, text(0), text(1)); }
    }
    fail_template("'." + std::string(name) + "()' is not supported");
}

/// v | name(arguments)
inline template_value apply_filter(const template_value& v, std::string_view name,
                                   const std::vector<template_value>& arguments) {
    if (name == "trim") { return strip(text_of(v), true, true); }
    if (name == "upper") { return cased(text_of(v), std::toupper); }
    if (name == "lower") { return cased(text_of(v), std::tolower); }
    if (name == "string") { return text_of(v); }
    if (name == "length" || name == "count") {
        return v.is_string() ? v.get_ref<const std::string&>().size() : v.size();
    }
    if (name == "first") { return item_of(v, 0); }
    if (name == "last") { return item_of(v, -1); }
    if (name == "default") {
        return v.is_discarded() && !arguments.empty() ? arguments.front() : v;
    }
    if (name == "safe" || name == "list") { return v; }
    fail_template("filter '" + std::string(name) + "' is not supported");
}

/// v is name
inline bool passes_test(const template_value& v, std::string_view name) {
    if (name == "defined") { return !v.is_discarded(); }
    if (name == "undefined") { return v.is_discarded(); }
    if (name == "none") { return v.is_null(); }
    if (name == "string") { return v.is_string(); }
    if (name == "mapping") { return v.is_object(); }
    if (name == "sequence" || name == "iterable") {
        return v.is_array() || v.is_string() || v.is_object();
    }
    if (name == "number") { return v.is_number(); }
    if (name == "boolean") { return v.is_boolean(); }
    if (name == "true") { return v == true; }
    if (name == "false") { return v == false; }
    fail_template("test '" + std::string(name) + "' is not supported");
}

}  // namespace xlens::detail
