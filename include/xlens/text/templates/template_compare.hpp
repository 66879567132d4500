// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_budget.hpp>
#include <xlens/text/templates/template_object.hpp>
#include <xlens/text/templates/template_value.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

// Truth, equality, order and membership as Python has them.

namespace xlens::detail {

/// "str", "int", ...: what Python calls the type, for messages.
inline std::string type_name(const template_value& v) {
    if (v.is_undefined()) { return "Undefined"; }
    if (v.is_none()) { return "NoneType"; }
    if (v.is_boolean()) { return "bool"; }
    if (v.is_integer()) { return "int"; }
    if (v.is_real()) { return "float"; }
    if (v.is_text()) { return "str"; }
    if (v.is_mapping()) { return "dict"; }
    if (v.is_object()) { return v.object()->what(); }
    switch (v.row().form) {
        case list_form::list: return "list";
        case list_form::tuple:
        case list_form::group: return "tuple";
        case list_form::range: return "range";
        case list_form::keys: return "dict_keys";
        case list_form::values: return "dict_values";
        case list_form::items: return "dict_items";
        case list_form::generator: return "generator";
    }
    return "value";
}

inline bool truth(const template_value& v) {
    if (v.is_undefined() || v.is_none()) { return false; }
    if (v.is_number()) { return v.number() != 0.0; }
    if (v.is_text()) { return !v.text().empty(); }
    if (v.is_mapping()) { return !v.mapping().entries.empty(); }
    // A generator is true, whatever is in it.
    return !v.is_row() || v.is_row(list_form::generator) || !v.row().items.empty();
}

inline bool equal(template_budget& budget, const template_value& a, const template_value& b);

inline bool equal_rows(template_budget& budget, const template_list& a, const template_list& b) {
    const auto plain = [](list_form f) { return f == list_form::group ? list_form::tuple : f; };
    if (plain(a.form) != plain(b.form)) { return false; }
    if (a.form == list_form::generator || a.form == list_form::values) { return &a == &b; }
    if (a.form == list_form::keys || a.form == list_form::items) {
        fail_template("comparing what keys() and items() give is not supported");
    }
    if (a.items.size() != b.items.size()) { return false; }
    for (std::size_t i = 0; i < a.items.size(); ++i) {
        if (!equal(budget, a.items[i], b.items[i])) { return false; }
    }
    return true;
}

/// The value of a key that equals `key`, or null.
inline const template_value* find_entry(template_budget& budget, const template_mapping& in,
                                        const template_value& key) {
    constexpr std::size_t per_step = 8;
    budget.step(1 + in.entries.size() / per_step);
    for (const auto& [name, value] : in.entries) {
        const bool same =
            key.is_text() ? name.is_text() && name.text() == key.text() : equal(budget, name, key);
        if (same) { return &value; }
    }
    return nullptr;
}

/// a == b
inline bool equal(template_budget& budget, const template_value& a, const template_value& b) {
    budget.step();
    if (a.is_number() && b.is_number()) {
        if (a.is_whole() && b.is_whole()) { return a.whole() == b.whole(); }
        return a.number() == b.number();
    }
    if (a.is_text() && b.is_text()) { return a.text() == b.text(); }
    if (a.is_undefined() || a.is_none()) {
        return a.is_undefined() ? b.is_undefined() : b.is_none();
    }
    if (a.is_row() && b.is_row()) { return equal_rows(budget, a.row(), b.row()); }
    if (a.is_mapping() && b.is_mapping()) {
        const auto& entries = a.mapping().entries;
        if (entries.size() != b.mapping().entries.size()) { return false; }
        for (const auto& [key, value] : entries) {
            const template_value* other = find_entry(budget, b.mapping(), key);
            if (other == nullptr || !equal(budget, value, *other)) { return false; }
        }
        return true;
    }
    return a.is_object() && b.is_object() && a.object() == b.object();
}

/// a < b; fails where Python does.
inline bool less(template_budget& budget, const template_value& a, const template_value& b,
                 std::string_view sign = "<") {
    budget.step();
    if (a.is_undefined()) { a.fail_undefined(); }
    if (b.is_undefined()) { b.fail_undefined(); }
    if (a.is_number() && b.is_number()) {
        if (a.is_whole() && b.is_whole()) { return a.whole() < b.whole(); }
        return a.number() < b.number();
    }
    // The bytes of UTF-8 are ordered as the characters are.
    if (a.is_text() && b.is_text()) { return a.text() < b.text(); }
    if (a.is_sequence() && b.is_sequence() &&
        a.is_row(list_form::list) == b.is_row(list_form::list)) {
        const auto& x = a.row().items;
        const auto& y = b.row().items;
        for (std::size_t i = 0; i < x.size() && i < y.size(); ++i) {
            if (!equal(budget, x[i], y[i])) { return less(budget, x[i], y[i], sign); }
        }
        return x.size() < y.size();
    }
    fail_template("'" + std::string(sign) + "' is not supported between '" + type_name(a) +
                  "' and '" + type_name(b) + "'");
}

/// Fails for what cannot be a key of a dict.
inline void check_hashable(const template_value& v) {
    if (v.is_mapping() || v.is_row(list_form::list)) {
        fail_template("unhashable type: '" + type_name(v) + "'");
    }
    if (v.is_sequence()) {
        for (const template_value& item : v.row().items) { check_hashable(item); }
    }
}

/// v in `in`
inline bool contains_value(template_budget& budget, const template_value& in,
                           const template_value& v) {
    if (in.is_undefined()) { return false; }
    if (in.is_text()) {
        if (v.is_undefined()) { fail_template("'in <string>' requires a string, got Undefined"); }
        if (!v.is_text()) {
            fail_template("'in <string>' requires a string, got '" + type_name(v) + "'");
        }
        return in.text().find(v.text()) != std::string::npos;
    }
    if (in.is_mapping()) {
        check_hashable(v);
        return find_entry(budget, in.mapping(), v) != nullptr;
    }
    if (!in.is_row()) { fail_template("'in': '" + type_name(in) + "' has no items"); }
    const template_list& row = in.row();
    const bool once = row.form == list_form::generator;
    for (std::size_t i = once ? row.read : 0; i < row.items.size(); ++i) {
        if (once) { row.read = i + 1; }
        const template_value& item = row.items[i];
        if (item.same_as(v) || equal(budget, item, v)) { return true; }
    }
    return false;
}

/// Adds or replaces an entry.
inline void put_entry(template_budget& budget, template_mapping& to, template_value key,
                      template_value value) {
    check_hashable(key);
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): `to` is ours to change.
    if (auto* old = const_cast<template_value*>(find_entry(budget, to, key))) {
        *old = std::move(value);
        return;
    }
    to.entries.emplace_back(std::move(key), std::move(value));
}

}  // namespace xlens::detail
