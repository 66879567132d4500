// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_value.hpp>

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens::detail {

class template_run;

/// What a call or a filter is given.
struct template_arguments {
    template_values positional;
    std::vector<std::pair<std::string, template_value>> named;

    [[nodiscard]] const template_value* find(std::string_view name) const {
        for (const auto& [key, value] : named) {
            if (key == name) { return &value; }
        }
        return nullptr;
    }
};

/// What is neither a number nor text nor a collection of them: a namespace, a macro, a loop, a
/// function, a method of a value.
class template_object {
public:
    template_object() = default;
    template_object(const template_object&) = delete;
    template_object& operator=(const template_object&) = delete;
    virtual ~template_object() = default;

    /// For messages: "macro 'f'".
    [[nodiscard]] virtual std::string what() const = 0;
    [[nodiscard]] virtual bool is_callable() const { return true; }
    virtual template_value call(template_run& /*run*/, const template_arguments& /*arguments*/) {
        fail_template(what() + " cannot be called");
    }
    /// The attribute, or nothing where it has none of this name.
    [[nodiscard]] virtual std::optional<template_value> attribute(template_run& /*run*/,
                                                                  std::string_view /*name*/) {
        return std::nullopt;
    }
};

/// namespace(a=1): what loops write into.
class template_namespace : public template_object {
public:
    [[nodiscard]] std::string what() const override { return "a namespace"; }
    [[nodiscard]] bool is_callable() const override { return false; }
    [[nodiscard]] std::optional<template_value> attribute(template_run& /*run*/,
                                                          std::string_view name) override {
        for (const auto& [key, value] : m_members) {
            if (key == name) { return value; }
        }
        return std::nullopt;
    }
    void set(std::string_view name, template_value value) {
        // It could come to hold itself, and macros could outlive what they refer to.
        if (value.has_objects()) {
            fail_template("a namespace, macro, loop or method in member '" + std::string(name) +
                          "' of a namespace is not supported");
        }
        if (name.starts_with('_')) {
            fail_template("a namespace takes no name that begins with _, got '" +
                          std::string(name) + "'");
        }
        for (auto& [key, old] : m_members) {
            if (key == name) {
                old = std::move(value);
                return;
            }
        }
        m_members.emplace_back(name, std::move(value));
    }

private:
    std::vector<std::pair<std::string, template_value>> m_members;
};

/// The values of parameters `names`, in this order, and null where none is given: as Python binds
/// arguments. `function` is for messages.
inline std::vector<const template_value*> bind_arguments(
    std::string_view function, const template_arguments& given,
    std::initializer_list<std::string_view> names) {
    std::vector<const template_value*> out(names.size(), nullptr);
    if (given.positional.size() > names.size()) {
        fail_template(std::string(function) + ": expected at most " + std::to_string(names.size()) +
                      " arguments, got " + std::to_string(given.positional.size()));
    }
    for (std::size_t i = 0; i < given.positional.size(); ++i) { out[i] = &given.positional[i]; }
    for (const auto& [key, value] : given.named) {
        const auto at = std::find(names.begin(), names.end(), key);
        const auto i = static_cast<std::size_t>(at - names.begin());
        if (at == names.end() || out[i] != nullptr) {
            fail_template(std::string(function) + ": unexpected argument '" + key + "'");
        }
        out[i] = &value;
    }
    return out;
}

}  // namespace xlens::detail
