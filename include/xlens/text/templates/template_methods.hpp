// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_compare.hpp>
#include <xlens/text/templates/template_method_names.hpp>
#include <xlens/text/templates/template_object.hpp>
#include <xlens/text/templates/template_run.hpp>
#include <xlens/text/templates/template_string_methods.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

// Methods of Python's values, called.

namespace xlens::detail {

inline template_value dict_method(template_run& run, const template_value& self,
                                  std::string_view name, const template_arguments& arguments) {
    const template_mapping& dict = self.mapping();
    if (!arguments.named.empty()) {
        fail_template(std::string(name) + "() takes no keyword arguments");
    }
    if (name == "get") {
        const auto given = bind_arguments(name, arguments, {"key", "default"});
        if (given[0] == nullptr) { fail_template("get: expected a key, got nothing"); }
        check_hashable(*given[0]);
        const template_value* found = find_entry(run.budget, dict, *given[0]);
        return found != nullptr ? *found : given[1] != nullptr ? *given[1] : nullptr;
    }
    bind_arguments(name, arguments, {});
    if (name == "copy") { return self; }
    template_values out;
    for (const auto& [key, value] : dict.entries) {
        if (name == "keys") {
            out.push_back(key);
        } else if (name == "values") {
            out.push_back(value);
        } else {
            out.push_back(template_value(template_values{key, value}, list_form::tuple));
        }
    }
    return {std::move(out), name == "keys"     ? list_form::keys
                            : name == "values" ? list_form::values
                                               : list_form::items};
}

/// copy, count and index of a list or tuple.
inline template_value list_method(template_run& run, const template_value& self,
                                  std::string_view name, const template_arguments& arguments) {
    if (name == "copy") {
        bind_arguments(name, arguments, {});
        return {self.row().items, list_form::list};
    }
    const auto given = bind_arguments(name, arguments, {"value"});
    if (given[0] == nullptr) { fail_template(std::string(name) + ": expected a value"); }
    std::size_t found = 0;
    const auto& items = self.row().items;
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (!equal(run.budget, items[i], *given[0])) { continue; }
        if (name == "index") { return i; }
        ++found;
    }
    if (name == "index") { fail_template("index: the value is not in the list"); }
    return found;
}

/// v.name(arguments), where method_state(v, name) is `known`.
inline template_value call_method(template_run& run, const template_value& v, std::string_view name,
                                  const template_arguments& arguments) {
    if (v.is_text()) { return string_method(run, v, name, arguments); }
    if (v.is_mapping()) { return dict_method(run, v, name, arguments); }
    return list_method(run, v, name, arguments);
}

}  // namespace xlens::detail
