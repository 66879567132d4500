// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_filters.hpp>
#include <xlens/text/templates/template_list_filters.hpp>
#include <xlens/text/templates/template_method_names.hpp>

#include <array>
#include <string>
#include <string_view>
#include <utility>

namespace xlens::detail {

struct named_filter {
    std::string_view name;
    template_filter apply;
};

inline template_value mapped(template_run& run, const template_value& v,
                             const template_arguments& given);

/// The filter of this name, or null.
inline template_filter find_filter(std::string_view name) {
    using value = const template_value&;
    using given = const template_arguments&;
    static constexpr std::array<named_filter, 41> filters{{
        {"abs", absolute},
        {"attr", attribute_filter},
        {"capitalize",
         [](auto& run, value v, given a) { return changed_text(run, v, a, capitalized); }},
        {"center", centred},
        {"count", length_of},
        {"d", default_of},
        {"default", default_of},
        {"dictsort", dict_sorted},
        {"e",
         [](auto& run, value v, given a) -> template_value {
             bind_arguments("escape", a, {});
             return v.is_markup() ? v : template_value(html_escaped(text_of(run.budget, v)), true);
         }},
        {"escape",
         [](auto& run, value v, given a) -> template_value {
             bind_arguments("escape", a, {});
             return v.is_markup() ? v : template_value(html_escaped(text_of(run.budget, v)), true);
         }},
        {"first", first_of},
        {"float", float_of},
        {"format", format_filter},
        {"groupby", grouped},
        {"indent", indented},
        {"int", int_of},
        {"items", items_filter},
        {"join", joined_filter},
        {"last", last_of},
        {"length", length_of},
        {"list", list_of},
        {"lower",
         [](auto& run, value v, given a) {
             return changed_text(run, v, a,
                                 [](const auto& s) { return cased(s, letter_case::lower); });
         }},
        {"map", mapped},
        {"max", [](auto& run, value v, given a) { return extreme(run, v, a, true); }},
        {"min", [](auto& run, value v, given a) { return extreme(run, v, a, false); }},
        {"reject", [](auto& run, value v, given a) { return chosen(run, v, a, false, false); }},
        {"rejectattr", [](auto& run, value v, given a) { return chosen(run, v, a, true, false); }},
        {"replace", replace_in},
        {"reverse", reversed},
        {"round", rounded},
        {"safe",
         [](auto& run, value v, given a) -> template_value {
             bind_arguments("safe", a, {});
             return {text_of(run.budget, v), true};
         }},
        {"select", [](auto& run, value v, given a) { return chosen(run, v, a, false, true); }},
        {"selectattr", [](auto& run, value v, given a) { return chosen(run, v, a, true, true); }},
        {"sort", sorted},
        {"string",
         [](auto& run, value v, given a) -> template_value {
             bind_arguments("string", a, {});
             return v.is_text() ? v : template_value(text_of(run.budget, v));
         }},
        {"sum", sum_of},
        {"title",
         [](auto& run, value v, given a) { return changed_text(run, v, a, titled_words); }},
        {"tojson",
         [](auto& run, value v, given a) -> template_value {
             return template_json_writer(run, a).text(v);
         }},
        {"trim", trimmed},
        {"unique", unique_items},
        {"upper",
         [](auto& run, value v, given a) {
             return changed_text(run, v, a,
                                 [](const auto& s) { return cased(s, letter_case::upper); });
         }},
    }};
    for (const named_filter& filter : filters) {
        if (filter.name == name) { return filter.apply; }
    }
    return nullptr;
}

/// Filters of Jinja, whether or not we have them. Any other name is unknown to Jinja too.
inline bool is_filter_of_jinja(std::string_view name) {
    return find_filter(name) != nullptr ||
           is_named_in(
               "batch filesizeformat forceescape pprint random slice striptags truncate "
               "urlencode urlize wordcount wordwrap xmlattr",
               name);
}

/// Of every item what a filter makes of it, or an attribute.
inline template_value mapped(template_run& run, const template_value& v,
                             const template_arguments& given) {
    template_values out;
    if (!truth(v)) { return {std::move(out), list_form::generator}; }
    if (given.positional.empty()) {
        const auto a = bind_arguments("map", given, {"attribute", "default"});
        if (a[0] == nullptr) { fail_template("map: expected a filter or an attribute"); }
        const bool has_default = a[1] != nullptr && !a[1]->is_none();
        for (const template_value& item : items_of(run, v)) {
            template_value found = item_at_path(run, item, *a[0]);
            out.push_back(found.is_undefined() && has_default ? *a[1] : std::move(found));
        }
        return {std::move(out), list_form::generator};
    }
    const std::string name = text_of(run.budget, given.positional.front());
    const template_filter filter = find_filter(name);
    if (filter == nullptr) { fail_template("filter '" + name + "' is not supported"); }
    template_arguments rest = given;
    rest.positional.erase(rest.positional.begin());
    for (const template_value& item : items_of(run, v)) {
        out.push_back(run.made(filter(run, item, rest)));
    }
    return {std::move(out), list_form::generator};
}

}  // namespace xlens::detail
