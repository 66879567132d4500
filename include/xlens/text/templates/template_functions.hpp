// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_date.hpp>
#include <xlens/text/templates/template_items.hpp>
#include <xlens/text/templates/template_object.hpp>
#include <xlens/text/templates/template_repr.hpp>
#include <xlens/text/templates/template_run.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

// The functions that a chat template can call by name: Jinja's and those of transformers.

namespace xlens::detail {

using function_body = template_value (*)(template_run&, const template_arguments&);

class function_object : public template_object {
public:
    function_object(std::string_view name, function_body body) : m_name(name), m_body(body) {}
    [[nodiscard]] std::string what() const override { return "function '" + m_name + "'"; }
    [[nodiscard]] std::optional<template_value> attribute(template_run& /*run*/,
                                                          std::string_view name) override {
        if (name == "fromkeys") { fail_template("'fromkeys' is not supported"); }
        return std::nullopt;
    }
    template_value call(template_run& run, const template_arguments& arguments) override {
        return run.made(m_body(run, arguments));
    }

private:
    std::string m_name;
    function_body m_body;
};

inline template_value range_of(template_run& run, const template_arguments& given) {
    constexpr std::int64_t most = 100'000;  // as the sandbox has it
    const auto& a = given.positional;
    if (a.empty() || a.size() > 3 || !given.named.empty()) {
        fail_template("range: expected one to three numbers");
    }
    for (const template_value& v : a) {
        if (v.is_undefined()) { v.fail_undefined(); }
        if (!v.is_whole()) { fail_template("range: expected an int, got '" + type_name(v) + "'"); }
    }
    const std::int64_t begin = a.size() > 1 ? a[0].whole() : 0;
    const std::int64_t end = a.size() > 1 ? a[1].whole() : a[0].whole();
    const std::int64_t step = a.size() > 2 ? a[2].whole() : 1;
    if (step == 0) { fail_template("range: the step is 0"); }
    template_values out;
    for (std::int64_t i = begin; step > 0 ? i < end : i > end;) {
        if (std::cmp_equal(out.size(), most)) {
            fail_template("range: more than 100000 numbers are not allowed");
        }
        out.emplace_back(i);
        if (__builtin_add_overflow(i, step, &i)) { break; }
    }
    run.budget.step(1 + out.size());
    return {std::move(out), list_form::range};
}

/// The entries of dict(a, b=c) and namespace(a, b=c).
inline template_mapping entries_given(template_run& run, const template_arguments& given,
                                      const std::string& function) {
    template_mapping out;
    if (given.positional.size() > 1) { fail_template(function + ": expected one dict"); }
    if (!given.positional.empty()) {
        const template_value& from = given.positional.front();
        if (from.is_mapping()) {
            out.entries = from.mapping().entries;
        } else {
            for (const template_value& pair : items_of(run, from)) {
                template_values two = items_of(run, pair);
                if (two.size() != 2) { fail_template(function + ": expected pairs"); }
                put_entry(run.budget, out, std::move(two[0]), std::move(two[1]));
            }
        }
    }
    for (const auto& [name, value] : given.named) { put_entry(run.budget, out, name, value); }
    return out;
}

inline template_value namespace_of(template_run& run, const template_arguments& given) {
    auto out = std::make_shared<template_namespace>();
    for (const auto& [key, value] : entries_given(run, given, "namespace").entries) {
        if (!key.is_text()) { fail_template("namespace: expected names that are str"); }
        out->set(key.text(), value);
    }
    return std::shared_ptr<template_object>(std::move(out));
}

/// The function of this name, or an undefined value.
inline template_value template_function(std::string_view name) {
    struct named_function {
        std::string_view name;
        function_body body;
    };
    static constexpr std::array<named_function, 5> functions{{
        {"range", range_of},
        {"dict",
         [](auto& run, const auto& given) -> template_value {
             return entries_given(run, given, "dict");
         }},
        {"namespace", namespace_of},
        {"raise_exception",
         [](auto& run, const auto& given) -> template_value {
             const auto a = bind_arguments("raise_exception", given, {"message"});
             if (a[0] == nullptr) { fail_template("raise_exception: expected a message"); }
             fail_template(text_of(run.budget, *a[0]));
         }},
        {"strftime_now",
         [](auto& run, const auto& given) -> template_value {
             const auto a = bind_arguments("strftime_now", given, {"format"});
             if (a[0] == nullptr || !a[0]->is_text()) {
                 fail_template("strftime_now: expected a format");
             }
             return template_time_text(run.clock, a[0]->text());
         }},
    }};
    for (const named_function& f : functions) {
        if (f.name != name) { continue; }
        return std::shared_ptr<template_object>(std::make_shared<function_object>(name, f.body));
    }
    return {};
}

}  // namespace xlens::detail
