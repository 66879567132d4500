// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_compare.hpp>
#include <xlens/text/templates/template_method_names.hpp>
#include <xlens/text/templates/template_object.hpp>
#include <xlens/text/templates/template_repr.hpp>
#include <xlens/text/templates/template_run.hpp>
#include <xlens/text/templates/template_strings.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

// What is in a value: items, attributes, slices, and all of them one after another.

namespace xlens::detail {

/// A method of a value, not called yet: message.items, where a dict has such a method.
class bound_method : public template_object {
public:
    bound_method(template_value self, std::string name)
        : m_self(std::move(self)), m_name(std::move(name)) {}
    [[nodiscard]] std::string what() const override { return "method '" + m_name + "'"; }
    template_value call(template_run& run, const template_arguments& arguments) override {
        return run.made(run.call_method(run, m_self, m_name, arguments));
    }

private:
    template_value m_self;
    std::string m_name;
};

/// The attribute of a value in Python, no item of it; nothing where it has none. What the sandbox
/// does not allow is undefined.
inline std::optional<template_value> python_attribute(template_run& run, const template_value& v,
                                                      std::string_view name) {
    if (v.is_undefined()) { v.fail_undefined(); }
    if (name.starts_with("__") && name.ends_with("__")) {
        return template_value::undefined("access to attribute '" + std::string(name) +
                                         "' is unsafe");
    }
    if (v.is_object()) { return v.object()->attribute(run, name); }
    if (v.is_row(list_form::group) && (name == "grouper" || name == "list")) {
        return v.row().items[name == "list" ? 1 : 0];
    }
    switch (method_state(v, name)) {
        case method_kind::none: return std::nullopt;
        case method_kind::changes:
            return template_value::undefined("'" + std::string(name) + "' of a " + type_name(v) +
                                             " is unsafe: it would change it");
        case method_kind::known:
            return template_value(std::make_shared<bound_method>(v, std::string(name)));
        case method_kind::refused:
            fail_template("'" + std::string(name) + "' of a " + type_name(v) + " is not supported");
    }
    return std::nullopt;
}

/// v[key] where there is such an item.
inline std::optional<template_value> python_item(template_run& run, const template_value& v,
                                                 const template_value& key) {
    if (v.is_undefined()) { v.fail_undefined(); }
    if (v.is_mapping()) {
        if (key.is_mapping() || key.is_row(list_form::list)) { return std::nullopt; }
        const template_value* found = find_entry(run.budget, v.mapping(), key);
        return found == nullptr ? std::nullopt : std::optional(*found);
    }
    if (!key.is_whole()) { return std::nullopt; }
    const bool indexed = v.is_sequence() || v.is_row(list_form::range);
    if (!v.is_text() && !indexed) { return std::nullopt; }
    const std::size_t length = v.is_text() ? count_characters(v.text()) : v.row().items.size();
    const auto size = static_cast<std::int64_t>(length);
    const std::int64_t at = key.whole() < 0 ? key.whole() + size : key.whole();
    if (at < 0 || at >= size) { return std::nullopt; }
    const auto index = static_cast<std::size_t>(at);
    if (!v.is_text()) { return v.row().items[index]; }
    const std::size_t begin = character_offset(v.text(), index);
    return template_value(v.text().substr(begin, read_utf8(v.text(), begin).length), v.is_markup());
}

inline template_value missing_item(template_run& run, const template_value& v,
                                   const template_value& key) {
    std::string name;
    if (key.is_text()) {
        name = "'" + key.text() + "'";
    } else if (!key.has_objects()) {
        append_repr(run.budget, name, key);
    }
    return template_value::undefined("'" + type_name(v) + "' has no item or attribute " + name);
}

/// v[key] of a template: an item, else an attribute.
inline template_value item_of(template_run& run, const template_value& v,
                              const template_value& key) {
    if (auto item = python_item(run, v, key)) { return *std::move(item); }
    if (key.is_text()) {
        if (auto attribute = python_attribute(run, v, key.text())) { return *std::move(attribute); }
    }
    return missing_item(run, v, key);
}

/// v.name of a template: an attribute, else an item.
inline template_value member_of(template_run& run, const template_value& v,
                                const template_value& name) {
    if (auto attribute = python_attribute(run, v, name.text())) { return *std::move(attribute); }
    if (auto item = python_item(run, v, name)) { return *std::move(item); }
    return missing_item(run, v, name);
}

/// v.a.b.0, as filters name what they look at: "a.b.0", or a number.
inline template_value item_at_path(template_run& run, template_value v,
                                   const template_value& path) {
    if (!path.is_text()) { return item_of(run, v, path); }
    for (const std::string_view part : split_at(path.text(), ".", no_limit, false)) {
        const bool digits =
            !part.empty() && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
        std::int64_t number = 0;
        if (digits) { std::from_chars(part.data(), part.data() + part.size(), number); }
        v = item_of(run, v, digits ? template_value(number) : template_value(part));
    }
    return v;
}

/// v[first:last:step]; `last` and so on may be None.
inline template_value slice_of(template_run& run, const template_value& v,
                               const template_value& first, const template_value& last,
                               const template_value& step) {
    if (v.is_undefined()) { v.fail_undefined(); }
    const bool is_text = v.is_text();
    if (v.is_row(list_form::range)) { fail_template("a slice of a range is not supported"); }
    if (!is_text && !v.is_sequence()) { fail_template("a '" + type_name(v) + "' has no slices"); }
    for (const template_value* bound : {&first, &last, &step}) {
        if (!bound->is_none() && !bound->is_whole()) {
            fail_template("a bound of a slice must be a whole number, got '" + type_name(*bound) +
                          "'");
        }
    }
    const auto letters = is_text ? characters(v.text()) : std::vector<std::string_view>();
    const auto size = static_cast<std::int64_t>(is_text ? letters.size() : v.row().items.size());
    const std::int64_t by = step.is_none() ? 1 : step.whole();
    if (by == 0) { fail_template("slice step cannot be zero"); }
    const auto bound = [&](const template_value& at, std::int64_t otherwise) {
        if (at.is_none()) { return otherwise; }
        const std::int64_t i = at.whole() < 0 ? at.whole() + size : at.whole();
        return std::clamp<std::int64_t>(i, by < 0 ? -1 : 0, by < 0 ? size - 1 : size);
    };
    const std::int64_t begin = bound(first, by < 0 ? size - 1 : 0);
    const std::int64_t end = bound(last, by < 0 ? -1 : size);
    std::string text;
    template_values items;
    for (std::int64_t i = begin; by > 0 ? i < end : i > end;) {
        const auto at = static_cast<std::size_t>(i);
        if (is_text) {
            text += letters[at];
        } else {
            items.push_back(v.row().items[at]);
        }
        if (__builtin_add_overflow(i, by, &i)) { break; }
    }
    if (is_text) { return run.made({std::move(text), v.is_markup()}); }
    return run.made(
        {std::move(items), v.is_row(list_form::list) ? list_form::list : list_form::tuple});
}

/// Can it be gone through?
inline bool is_iterable(const template_value& v) {
    return v.is_undefined() || v.is_text() || v.is_row() || v.is_mapping();
}

/// iter(v), all of it: items, keys or characters. A generator is read to its end.
inline template_values items_of(template_run& run, const template_value& v) {
    if (v.is_undefined()) { return {}; }
    template_values out;
    if (v.is_row()) {
        const template_list& row = v.row();
        run.budget.step(1 + row.items.size());
        if (row.form != list_form::generator) { return row.items; }
        out.assign(row.items.begin() + static_cast<std::ptrdiff_t>(row.read), row.items.end());
        row.read = row.items.size();
    } else if (v.is_mapping()) {
        for (const auto& entry : v.mapping().entries) { out.push_back(entry.first); }
    } else if (v.is_text()) {
        for (const std::string_view c : characters(v.text())) {
            out.emplace_back(std::string(c), v.is_markup());
        }
        run.budget.bytes(out.size(), 96);
    } else {
        fail_template("'" + type_name(v) + "' cannot be gone through item by item");
    }
    run.budget.step(1 + out.size());
    return out;
}

}  // namespace xlens::detail
