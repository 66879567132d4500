// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_method_names.hpp>
#include <xlens/text/templates/template_object.hpp>
#include <xlens/text/templates/template_postfix.hpp>
#include <xlens/text/templates/template_run.hpp>
#include <xlens/text/templates/template_statement.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens::detail {

/// What a macro or the body of a call is made of.
struct macro_parts {
    struct parameter {
        std::string spelt;
        template_name name = 0;
        template_part otherwise;  // or nothing
    };
    std::string spelt;
    std::vector<parameter> parameters;
    template_block body;
    // Names that the body reads and that are no parameters.
    std::optional<template_name> caller;
    std::optional<template_name> more;        // varargs
    std::optional<template_name> more_named;  // kwargs
};

/// A macro; it sees the variables of where it was defined. Called, it gives what it writes.
class macro_object : public template_object {
public:
    macro_object(const macro_parts& parts, const template_frame& outer)
        : m_parts(parts), m_outer(outer) {}
    [[nodiscard]] std::string what() const override { return "macro '" + m_parts.spelt + "'"; }
    [[nodiscard]] std::optional<template_value> attribute(template_run& /*run*/,
                                                          std::string_view name) override {
        if (is_named_in("arguments caller catch_kwargs catch_varargs explicit_caller name", name)) {
            fail_template("'" + std::string(name) + "' of a macro is not supported");
        }
        return std::nullopt;
    }
    template_value call(template_run& run, const template_arguments& given) override {
        const template_run::scope scope(run, &m_outer);
        bind(run, given);
        return run.made(run.captured([&] { (void)execute(run, m_parts.body); }));
    }

private:
    void bind(template_run& run, const template_arguments& given) const {
        const auto& positional = given.positional;
        const auto& parameters = m_parts.parameters;
        template_arguments named;
        named.named = given.named;
        const auto take = [&](const std::string& name) {
            std::optional<template_value> out;
            const auto same = [&](const auto& argument) { return argument.first == name; };
            const auto found = std::ranges::find_if(named.named, same);
            if (found != named.named.end()) {
                out = std::move(found->second);
                named.named.erase(found);
            }
            return out;
        };
        std::vector<std::optional<template_value>> values;
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            values.push_back(i < positional.size() ? std::optional(positional[i])
                                                   : take(parameters[i].spelt));
        }
        if (m_parts.caller) {
            auto caller = take("caller");
            run.frame().set(
                *m_parts.caller,
                caller ? *std::move(caller) : template_value::undefined("no caller is defined"));
        }
        if (m_parts.more_named) {
            template_mapping rest;
            for (auto& [name, value] : named.named) { rest.entries.emplace_back(name, value); }
            run.frame().set(*m_parts.more_named, std::move(rest));
        } else if (!named.named.empty()) {
            fail_template(what() + " takes no argument '" + named.named.front().first + "'");
        }
        const std::size_t taken = std::min(parameters.size(), positional.size());
        if (m_parts.more) {
            run.frame().set(*m_parts.more, {template_values(positional.begin() +
                                                                static_cast<std::ptrdiff_t>(taken),
                                                            positional.end()),
                                            list_form::tuple});
        } else if (positional.size() > parameters.size()) {
            fail_template(what() + " takes not more than " + std::to_string(parameters.size()) +
                          " arguments, got " + std::to_string(positional.size()));
        }
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            const macro_parts::parameter& p = parameters[i];
            template_value value =
                values[i] ? *std::move(values[i])
                : p.otherwise != nullptr
                    ? value_of(run, p.otherwise)
                    : template_value::undefined("parameter '" + p.spelt + "' was not provided");
            run.frame().set(p.name, std::move(value));
        }
    }

    const macro_parts& m_parts;
    const template_frame& m_outer;
};

/// {% macro name(a, b=c) %}...{% endmacro %}
class macro_statement : public template_statement {
public:
    macro_statement(template_name name, macro_parts parts)
        : m_name(name), m_parts(std::move(parts)) {}
    [[nodiscard]] template_flow execute(template_run& run) const override {
        run.frame().set(m_name, std::shared_ptr<template_object>(
                                    std::make_shared<macro_object>(m_parts, run.frame())));
        return template_flow::next;
    }

private:
    template_name m_name;
    macro_parts m_parts;
};

/// {% call(a) name(b) %}...{% endcall %}: a call of a macro that can call the body as `caller`.
class call_statement : public template_statement {
public:
    call_statement(template_part call, macro_parts body)
        : m_call(std::move(call)), m_body(std::move(body)) {}
    [[nodiscard]] template_flow execute(template_run& run) const override {
        auto caller = std::make_shared<macro_object>(m_body, run.frame());
        const auto& call = static_cast<const postfix_expression&>(*m_call);
        run.write(text_of(run.budget, call.call(run, std::move(caller))));
        return template_flow::next;
    }

private:
    template_part m_call;  // a postfix_expression that is a call
    macro_parts m_body;
};

}  // namespace xlens::detail
