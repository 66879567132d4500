// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_filters.hpp>
#include <xlens/text/templates/template_items.hpp>
#include <xlens/text/templates/template_tests.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Filters of Jinja that go through a list.

namespace xlens::detail {

/// "A" and "a" are one, unless case counts.
inline template_value sort_key(template_run& run, const template_value& item,
                               const template_value* attribute, bool case_sensitive) {
    const bool has_attribute = attribute != nullptr && !attribute->is_none();
    template_value key = has_attribute ? item_at_path(run, item, *attribute) : item;
    return key.is_text() && !case_sensitive ? template_value(cased(key.text(), letter_case::lower))
                                            : key;
}
inline bool flag(const template_value* v) { return v != nullptr && truth(*v); }

/// Items, each with what it is sorted by.
using keyed_items = std::vector<std::pair<template_value, template_value>>;

inline template_values sorted_items(template_run& run, keyed_items items, bool reverse) {
    std::ranges::stable_sort(items, [&](const auto& a, const auto& b) {
        return reverse ? less(run.budget, b.first, a.first) : less(run.budget, a.first, b.first);
    });
    template_values out;
    for (auto& item : items) { out.push_back(std::move(item.second)); }
    return out;
}

inline template_value sorted(template_run& run, const template_value& v,
                             const template_arguments& given) {
    const auto a = bind_arguments("sort", given, {"reverse", "case_sensitive", "attribute"});
    keyed_items items;
    for (template_value& item : items_of(run, v)) {
        template_values keys;
        if (a[2] != nullptr && a[2]->is_text()) {
            for (const std::string_view part : split_at(a[2]->text(), ",", no_limit, false)) {
                const template_value path(part);
                keys.push_back(sort_key(run, item, &path, flag(a[1])));
            }
        } else {
            keys.push_back(sort_key(run, item, a[2], flag(a[1])));
        }
        items.emplace_back(std::move(keys), std::move(item));
    }
    return sorted_items(run, std::move(items), flag(a[0]));
}

inline template_values entries_of(template_run& run, const template_value& v) {
    template_values out;
    for (const auto& [key, value] : v.mapping().entries) {
        run.budget.step();
        out.push_back(template_value(template_values{key, value}, list_form::tuple));
    }
    return out;
}

inline template_value dict_sorted(template_run& run, const template_value& v,
                                  const template_arguments& given) {
    const auto a = bind_arguments("dictsort", given, {"case_sensitive", "by", "reverse"});
    if (v.is_undefined()) { v.fail_undefined(); }
    if (!v.is_mapping()) { fail_template("dictsort: expected a dict, got '" + type_name(v) + "'"); }
    const std::string by = a[1] == nullptr ? "key" : text_of(run.budget, *a[1]);
    if (by != "key" && by != "value") { fail_template("dictsort: by must be key or value"); }
    keyed_items items;
    for (template_value& entry : entries_of(run, v)) {
        const template_value& key = entry.row().items[by == "key" ? 0 : 1];
        items.emplace_back(sort_key(run, key, nullptr, flag(a[0])), entry);
    }
    return sorted_items(run, std::move(items), flag(a[2]));
}

inline template_value items_filter(template_run& run, const template_value& v,
                                   const template_arguments& given) {
    bind_arguments("items", given, {});
    if (v.is_undefined()) { return {template_values{}, list_form::generator}; }
    if (!v.is_mapping()) { fail_template("items: expected a dict, got '" + type_name(v) + "'"); }
    return {entries_of(run, v), list_form::generator};
}

inline template_value joined_filter(template_run& run, const template_value& v,
                                    const template_arguments& given) {
    const auto a = bind_arguments("join", given, {"d", "attribute"});
    const std::string between = a[0] == nullptr ? "" : text_of(run.budget, *a[0]);
    const bool has_attribute = a[1] != nullptr && !a[1]->is_none();
    std::string out;
    bool first = true;
    for (const template_value& item : items_of(run, v)) {
        const std::string part =
            text_of(run.budget, has_attribute ? item_at_path(run, item, *a[1]) : item);
        run.budget.bytes(between.size() + part.size());
        if (!std::exchange(first, false)) { out += between; }
        out += part;
    }
    return out;
}

inline template_value first_of(template_run& run, const template_value& v,
                               const template_arguments& given) {
    bind_arguments("first", given, {});
    if (v.is_row(list_form::generator)) {
        const template_list& row = v.row();
        if (row.read < row.items.size()) { return row.items[row.read++]; }
        return template_value::undefined("no first item: it was empty");
    }
    const template_values items = items_of(run, v);
    return items.empty() ? template_value::undefined("no first item: it was empty") : items.front();
}
inline template_value last_of(template_run& run, const template_value& v,
                              const template_arguments& given) {
    bind_arguments("last", given, {});
    if (v.is_row(list_form::generator)) { fail_template("last: a generator has no last item"); }
    const template_values items = items_of(run, v);
    return items.empty() ? template_value::undefined("no last item: it was empty") : items.back();
}

inline template_value list_of(template_run& run, const template_value& v,
                              const template_arguments& given) {
    bind_arguments("list", given, {});
    return items_of(run, v);
}

inline template_value reversed(template_run& run, const template_value& v,
                               const template_arguments& given) {
    bind_arguments("reverse", given, {});
    if (v.is_text()) { return slice_of(run, v, nullptr, nullptr, -1); }
    template_values items = items_of(run, v);
    std::ranges::reverse(items);
    return {std::move(items),
            v.is_row(list_form::generator) ? list_form::list : list_form::generator};
}

inline template_value unique_items(template_run& run, const template_value& v,
                                   const template_arguments& given) {
    const auto a = bind_arguments("unique", given, {"case_sensitive", "attribute"});
    template_values seen;
    template_values out;
    for (template_value& item : items_of(run, v)) {
        template_value key = sort_key(run, item, a[1], flag(a[0]));
        check_hashable(key);
        const bool known = std::ranges::any_of(
            seen, [&](const template_value& old) { return equal(run.budget, old, key); });
        if (known) { continue; }
        seen.push_back(std::move(key));
        out.push_back(std::move(item));
    }
    return {std::move(out), list_form::generator};
}

inline template_value extreme(template_run& run, const template_value& v,
                              const template_arguments& given, bool largest) {
    const auto a = bind_arguments("min and max", given, {"case_sensitive", "attribute"});
    const template_values items = items_of(run, v);
    if (items.empty()) { return template_value::undefined("no item: it was empty"); }
    std::size_t best = 0;
    template_value best_key = sort_key(run, items[0], a[1], flag(a[0]));
    for (std::size_t i = 1; i < items.size(); ++i) {
        template_value key = sort_key(run, items[i], a[1], flag(a[0]));
        const bool better =
            largest ? less(run.budget, best_key, key, ">") : less(run.budget, key, best_key);
        if (!better) { continue; }
        best = i;
        best_key = std::move(key);
    }
    return items[best];
}

inline template_value sum_of(template_run& run, const template_value& v,
                             const template_arguments& given) {
    const auto a = bind_arguments("sum", given, {"attribute", "start"});
    const bool has_attribute = a[0] != nullptr && !a[0]->is_none();
    template_value out = a[1] != nullptr ? *a[1] : 0;
    if (out.is_text()) { fail_template("sum: texts are joined by join"); }
    for (const template_value& item : items_of(run, v)) {
        out = plus(run, out, has_attribute ? item_at_path(run, item, *a[0]) : item);
    }
    return out;
}

inline template_value grouped(template_run& run, const template_value& v,
                              const template_arguments& given) {
    const auto a = bind_arguments("groupby", given, {"attribute", "default", "case_sensitive"});
    if (a[0] == nullptr) { fail_template("groupby: expected an attribute"); }
    const bool has_default = a[1] != nullptr && !a[1]->is_none();
    const auto key_of = [&](const template_value& item) {
        template_value key = item_at_path(run, item, *a[0]);
        return key.is_undefined() && has_default ? *a[1] : key;
    };
    keyed_items keyed;
    for (template_value& item : items_of(run, v)) {
        keyed.emplace_back(sort_key(run, key_of(item), nullptr, flag(a[2])), std::move(item));
    }
    template_values out;
    template_values group;
    template_value group_key;
    const auto close = [&] {
        if (group.empty()) { return; }
        const template_value name = key_of(group.front());
        out.push_back({template_values{name, std::exchange(group, {})}, list_form::group});
    };
    for (template_value& item : sorted_items(run, std::move(keyed), false)) {
        template_value key = sort_key(run, key_of(item), nullptr, flag(a[2]));
        if (!group.empty() && !equal(run.budget, group_key, key)) { close(); }
        group_key = std::move(key);
        group.push_back(std::move(item));
    }
    close();
    return out;
}

/// select, reject, selectattr and rejectattr: the items whose own test, or that of an attribute,
/// gives `wanted`.
inline template_value chosen(template_run& run, const template_value& v,
                             const template_arguments& given, bool by_attribute, bool wanted) {
    template_values out;
    if (!truth(v)) { return {std::move(out), list_form::generator}; }
    template_arguments rest = given;
    auto& arguments = rest.positional;
    template_value attribute;
    const auto shift = [&] {
        template_value front = arguments.front();
        arguments.erase(arguments.begin());
        return front;
    };
    if (by_attribute) {
        if (arguments.empty()) { fail_template("selectattr: expected the name of an attribute"); }
        attribute = shift();
    }
    template_test test = nullptr;
    if (!arguments.empty()) {
        const std::string name = text_of(run.budget, shift());
        test = find_test(name);
        if (test == nullptr) { fail_template("test '" + name + "' is not supported"); }
    }
    for (template_value& item : items_of(run, v)) {
        const template_value of = by_attribute ? item_at_path(run, item, attribute) : item;
        const bool holds = test != nullptr ? test(run, of, rest) : truth(of);
        if (holds == wanted) { out.push_back(std::move(item)); }
    }
    return {std::move(out), list_form::generator};
}

}  // namespace xlens::detail
