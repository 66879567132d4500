// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_expression.hpp>
#include <xlens/text/templates/template_filter_table.hpp>
#include <xlens/text/templates/template_items.hpp>
#include <xlens/text/templates/template_object.hpp>
#include <xlens/text/templates/template_tests.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// What stands behind a value: .name, [item], [a:b:c], (arguments), | filter, is test.

namespace xlens::detail {

class postfix_step {
public:
    postfix_step() = default;
    postfix_step(const postfix_step&) = delete;
    postfix_step& operator=(const postfix_step&) = delete;
    virtual ~postfix_step() = default;
    [[nodiscard]] virtual template_value apply(template_run& run,
                                               const template_value& v) const = 0;
};
using postfix_steps = std::vector<std::unique_ptr<const postfix_step>>;

/// (a, *b, c=d, **e)
struct argument_list {
    template_parts positional;
    std::vector<std::pair<std::string, template_part>> named;
    template_part more;        // behind *
    template_part more_named;  // behind **

    [[nodiscard]] template_arguments evaluate(template_run& run) const {
        template_arguments out;
        for (const template_part& part : positional) {
            out.positional.push_back(value_of(run, part));
        }
        for (const auto& [name, part] : named) { add(out, name, value_of(run, part)); }
        if (more != nullptr) {
            for (template_value& v : items_of(run, value_of(run, more))) {
                out.positional.push_back(std::move(v));
            }
        }
        if (more_named != nullptr) {
            const template_value names = value_of(run, more_named);
            if (!names.is_mapping()) {
                fail_template("** needs a dict, got '" + type_name(names) + "'");
            }
            for (const auto& [key, value] : names.mapping().entries) {
                if (!key.is_text()) { fail_template("** needs keys that are str"); }
                add(out, key.text(), value);
            }
        }
        return out;
    }

private:
    static void add(template_arguments& to, const std::string& name, template_value value) {
        if (to.find(name) != nullptr) { fail_template("argument '" + name + "' is given twice"); }
        to.named.emplace_back(name, std::move(value));
    }
};

/// v.name
class member_step : public postfix_step {
public:
    explicit member_step(std::string name) : m_name(std::move(name)) {}
    [[nodiscard]] template_value apply(template_run& run, const template_value& v) const override {
        return member_of(run, v, m_name);
    }

private:
    template_value m_name;
};

/// v[item]
class item_step : public postfix_step {
public:
    explicit item_step(template_part item) : m_item(std::move(item)) {}
    [[nodiscard]] template_value apply(template_run& run, const template_value& v) const override {
        return item_of(run, v, value_of(run, m_item));
    }

private:
    template_part m_item;
};

/// v[first:last:step], each of which may be missing.
class slice_step : public postfix_step {
public:
    slice_step(template_part first, template_part last, template_part step)
        : m_first(std::move(first)), m_last(std::move(last)), m_step(std::move(step)) {}
    [[nodiscard]] template_value apply(template_run& run, const template_value& v) const override {
        const auto bound = [&](const template_part& part) {
            return part != nullptr ? value_of(run, part) : template_value(nullptr);
        };
        const template_value first = bound(m_first);
        const template_value last = bound(m_last);
        return slice_of(run, v, first, last, bound(m_step));
    }

private:
    template_part m_first;
    template_part m_last;
    template_part m_step;
};

/// v(arguments)
class call_step : public postfix_step {
public:
    explicit call_step(argument_list arguments) : m_arguments(std::move(arguments)) {}
    [[nodiscard]] template_value apply(template_run& run, const template_value& v) const override {
        return call(run, v, nullptr);
    }
    /// With `caller`, where there is one, as a further argument of this name.
    [[nodiscard]] template_value call(template_run& run, const template_value& v,
                                      std::shared_ptr<template_object> caller) const {
        if (v.is_undefined()) { v.fail_undefined(); }
        if (!v.is_object()) { fail_template("a '" + type_name(v) + "' cannot be called"); }
        template_arguments given = m_arguments.evaluate(run);
        if (caller != nullptr) { given.named.emplace_back("caller", std::move(caller)); }
        const std::shared_ptr<template_object> callee = v.object();
        return callee->call(run, given);
    }

private:
    argument_list m_arguments;
};

/// v | filter(arguments)
class filter_step : public postfix_step {
public:
    filter_step(template_filter filter, argument_list arguments)
        : m_filter(filter), m_arguments(std::move(arguments)) {}
    [[nodiscard]] template_value apply(template_run& run, const template_value& v) const override {
        return run.made(m_filter(run, v, m_arguments.evaluate(run)));
    }

private:
    template_filter m_filter;
    argument_list m_arguments;
};

/// v is test(arguments), or v is not
class test_step : public postfix_step {
public:
    test_step(template_test test, bool wanted, argument_list arguments)
        : m_test(test), m_wanted(wanted), m_arguments(std::move(arguments)) {}
    [[nodiscard]] template_value apply(template_run& run, const template_value& v) const override {
        return m_test(run, v, m_arguments.evaluate(run)) == m_wanted;
    }

private:
    template_test m_test;
    bool m_wanted;
    argument_list m_arguments;
};

/// A filter or test that Jinja does not have either, where Jinja fails when it is reached.
class unknown_step : public postfix_step {
public:
    explicit unknown_step(std::string what) : m_what(std::move(what)) {}
    [[nodiscard]] template_value apply(template_run& /*run*/,
                                       const template_value& /*v*/) const override {
        fail_template(m_what);
    }

private:
    std::string m_what;
};

/// A value and what stands behind it.
class postfix_expression : public template_expression {
public:
    postfix_expression(template_part of, postfix_steps steps)
        : m_of(std::move(of)), m_steps(std::move(steps)) {}
    [[nodiscard]] template_value evaluate(template_run& run) const override {
        return result(run, m_steps.size());
    }
    /// Is it a call?
    [[nodiscard]] bool is_call() const { return last_call() != nullptr; }
    /// The call, with a macro that the callee knows as `caller`.
    [[nodiscard]] template_value call(template_run& run,
                                      std::shared_ptr<template_object> caller) const {
        return last_call()->call(run, result(run, m_steps.size() - 1), std::move(caller));
    }

private:
    [[nodiscard]] const call_step* last_call() const {
        return dynamic_cast<const call_step*>(m_steps.back().get());
    }
    [[nodiscard]] template_value result(template_run& run, std::size_t steps) const {
        template_value out = value_of(run, m_of);
        for (std::size_t i = 0; i < steps; ++i) {
            run.budget.step();
            out = m_steps[i]->apply(run, out);
        }
        return out;
    }

    template_part m_of;
    postfix_steps m_steps;
};

}  // namespace xlens::detail
