// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_expression.hpp>
#include <xlens/text/templates/template_items.hpp>
#include <xlens/text/templates/template_object.hpp>
#include <xlens/text/templates/template_postfix.hpp>
#include <xlens/text/templates/template_run.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// Statements of a template, but for loops and macros.

namespace xlens::detail {

/// How a statement ends: with the next one, or as break and continue of the loop around it.
enum class template_flow : unsigned char { next, stop, again };

class template_statement {
public:
    template_statement() = default;
    template_statement(const template_statement&) = delete;
    template_statement& operator=(const template_statement&) = delete;
    virtual ~template_statement() = default;
    [[nodiscard]] virtual template_flow execute(template_run& run) const = 0;
};
using template_block = std::vector<std::unique_ptr<const template_statement>>;

/// Runs the statements of a block, up to a break or continue.
[[nodiscard]] inline template_flow execute(template_run& run, const template_block& block) {
    const template_budget::level level(run.budget);
    for (const auto& statement : block) {
        run.budget.step();
        const template_flow flow = statement->execute(run);
        if (flow != template_flow::next) { return flow; }
    }
    return template_flow::next;
}

/// What a block writes, in variables of its own. No break or continue leaves it.
inline std::string text_of_block(template_run& run, const template_block& block) {
    return run.captured([&] {
        const template_run::scope scope(run);
        (void)execute(run, block);
    });
}

/// What is assigned to: a name, a.b of a namespace, or several of these.
struct template_target {
    template_name name = 0;
    std::string spelt;
    std::string member;  // of a namespace
    std::vector<template_target> several;
    bool is_tuple = false;

    void assign(template_run& run, const template_value& value) const {
        if (is_tuple) {
            const template_values items = items_of(run, value);
            if (items.size() != several.size()) {
                fail_template("expected " + std::to_string(several.size()) +
                              " values to unpack, got " + std::to_string(items.size()));
            }
            for (std::size_t i = 0; i < items.size(); ++i) { several[i].assign(run, items[i]); }
        } else if (member.empty()) {
            run.frame().set(name, value);
        } else {
            const template_value* to = run.frame().find(name);
            const auto object = to != nullptr && to->is_object()
                                    ? std::dynamic_pointer_cast<template_namespace>(to->object())
                                    : nullptr;
            if (object == nullptr) { fail_template("'" + spelt + "' is no namespace"); }
            object->set(member, value);
        }
    }
};

class text_statement : public template_statement {
public:
    explicit text_statement(std::string text) : m_text(std::move(text)) {}
    [[nodiscard]] template_flow execute(template_run& run) const override {
        run.write(m_text);
        return template_flow::next;
    }

private:
    std::string m_text;
};

/// {{ value }}
class output_statement : public template_statement {
public:
    explicit output_statement(template_part value) : m_value(std::move(value)) {}
    [[nodiscard]] template_flow execute(template_run& run) const override {
        const template_value v = value_of(run, m_value);
        run.write(v.is_text() ? v.text() : text_of(run.budget, v));
        return template_flow::next;
    }

private:
    template_part m_value;
};

/// {% set a = value %}
class set_statement : public template_statement {
public:
    set_statement(template_target target, template_part value)
        : m_target(std::move(target)), m_value(std::move(value)) {}
    [[nodiscard]] template_flow execute(template_run& run) const override {
        m_target.assign(run, value_of(run, m_value));
        return template_flow::next;
    }

private:
    template_target m_target;
    template_part m_value;
};

/// {% set a %}...{% endset %} and {% filter b %}...{% endfilter %}: what a block writes, through
/// filters, into a variable or out.
class captured_statement : public template_statement {
public:
    captured_statement(template_target target, bool is_output, postfix_steps filters,
                       template_block body)
        : m_target(std::move(target)),
          m_is_output(is_output),
          m_filters(std::move(filters)),
          m_body(std::move(body)) {}
    [[nodiscard]] template_flow execute(template_run& run) const override {
        template_value v = run.made(text_of_block(run, m_body));
        for (const auto& filter : m_filters) { v = filter->apply(run, v); }
        if (m_is_output) {
            run.write(text_of(run.budget, v));
        } else {
            m_target.assign(run, v);
        }
        return template_flow::next;
    }

private:
    template_target m_target;
    bool m_is_output;
    postfix_steps m_filters;
    template_block m_body;
};

/// {% if %}, with all its branches; the last may have no condition.
class if_statement : public template_statement {
public:
    explicit if_statement(std::vector<std::pair<template_part, template_block>> branches)
        : m_branches(std::move(branches)) {}
    [[nodiscard]] template_flow execute(template_run& run) const override {
        for (const auto& [condition, block] : m_branches) {
            if (condition == nullptr || truth(value_of(run, condition))) {
                return detail::execute(run, block);
            }
        }
        return template_flow::next;
    }

private:
    std::vector<std::pair<template_part, template_block>> m_branches;
};

/// {% with a = b %}...{% endwith %}; {% generation %} without variables.
class with_statement : public template_statement {
public:
    with_statement(std::vector<std::pair<template_target, template_part>> variables,
                   template_block body)
        : m_variables(std::move(variables)), m_body(std::move(body)) {}
    [[nodiscard]] template_flow execute(template_run& run) const override {
        template_values values;
        for (const auto& [target, value] : m_variables) { values.push_back(value_of(run, value)); }
        const template_run::scope scope(run);
        for (std::size_t i = 0; i < values.size(); ++i) {
            m_variables[i].first.assign(run, values[i]);
        }
        return detail::execute(run, m_body);
    }

private:
    std::vector<std::pair<template_target, template_part>> m_variables;
    template_block m_body;
};

/// {% break %} and {% continue %}
class flow_statement : public template_statement {
public:
    explicit flow_statement(template_flow flow) : m_flow(flow) {}
    [[nodiscard]] template_flow execute(template_run& /*run*/) const override { return m_flow; }

private:
    template_flow m_flow;
};

}  // namespace xlens::detail
