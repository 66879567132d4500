// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_arithmetic.hpp>
#include <xlens/text/templates/template_compare.hpp>
#include <xlens/text/templates/template_repr.hpp>
#include <xlens/text/templates/template_run.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

// Expressions of a template. Chains such as a ~ b ~ c are one node, so that long ones are not deep.

namespace xlens::detail {

class template_expression {
public:
    template_expression() = default;
    template_expression(const template_expression&) = delete;
    template_expression& operator=(const template_expression&) = delete;
    virtual ~template_expression() = default;

    [[nodiscard]] virtual template_value evaluate(template_run& run) const = 0;
};
using template_part = std::unique_ptr<const template_expression>;
using template_parts = std::vector<template_part>;

/// What an expression gives; counted.
inline template_value value_of(template_run& run, const template_part& part) {
    const template_budget::level level(run.budget);
    run.budget.step();
    return part->evaluate(run);
}

class constant_expression : public template_expression {
public:
    explicit constant_expression(template_value value) : m_value(std::move(value)) {}
    [[nodiscard]] template_value evaluate(template_run& /*run*/) const override { return m_value; }

private:
    template_value m_value;
};

/// A variable, or a function of Jinja that has its name.
class name_expression : public template_expression {
public:
    name_expression(template_name name, std::string spelt, template_value otherwise)
        : m_name(name), m_spelt(std::move(spelt)), m_otherwise(std::move(otherwise)) {}
    [[nodiscard]] template_value evaluate(template_run& run) const override {
        if (const template_value* found = run.frame().find(m_name)) { return *found; }
        if (!m_otherwise.is_undefined()) { return m_otherwise; }
        return template_value::undefined("'" + m_spelt + "' is undefined");
    }

private:
    template_name m_name;
    std::string m_spelt;
    template_value m_otherwise;
};

/// [a, b] or (a, b)
class list_expression : public template_expression {
public:
    list_expression(template_parts items, list_form form)
        : m_items(std::move(items)), m_form(form) {}
    [[nodiscard]] template_value evaluate(template_run& run) const override {
        template_values out;
        for (const template_part& item : m_items) { out.push_back(value_of(run, item)); }
        return run.made({std::move(out), m_form});
    }

private:
    template_parts m_items;
    list_form m_form;
};

/// {a: b}
class dict_expression : public template_expression {
public:
    explicit dict_expression(std::vector<std::pair<template_part, template_part>> entries)
        : m_entries(std::move(entries)) {}
    [[nodiscard]] template_value evaluate(template_run& run) const override {
        template_mapping out;
        for (const auto& [key, value] : m_entries) {
            template_value k = value_of(run, key);
            put_entry(run.budget, out, std::move(k), value_of(run, value));
        }
        return out;
    }

private:
    std::vector<std::pair<template_part, template_part>> m_entries;
};

/// a + b - c, from left to right.
class arithmetic_expression : public template_expression {
public:
    using operation = template_value (*)(template_run&, const template_value&,
                                         const template_value&);
    arithmetic_expression(template_part first,
                          std::vector<std::pair<operation, template_part>> rest)
        : m_first(std::move(first)), m_rest(std::move(rest)) {}
    [[nodiscard]] template_value evaluate(template_run& run) const override {
        template_value out = value_of(run, m_first);
        for (const auto& [apply, part] : m_rest) { out = apply(run, out, value_of(run, part)); }
        return out;
    }

private:
    template_part m_first;
    std::vector<std::pair<operation, template_part>> m_rest;
};

/// -a or +a
class sign_expression : public template_expression {
public:
    sign_expression(template_part of, bool minus) : m_of(std::move(of)), m_minus(minus) {}
    [[nodiscard]] template_value evaluate(template_run& run) const override {
        return negated(value_of(run, m_of), m_minus);
    }

private:
    template_part m_of;
    bool m_minus;
};

/// a ~ b ~ c
class joined_expression : public template_expression {
public:
    explicit joined_expression(template_parts parts) : m_parts(std::move(parts)) {}
    [[nodiscard]] template_value evaluate(template_run& run) const override {
        std::string out;
        for (const template_part& part : m_parts) {
            const template_value v = value_of(run, part);
            if (v.is_text()) {
                run.budget.bytes(v.text().size());
                out += v.text();
            } else {
                out += text_of(run.budget, v);
            }
        }
        return out;
    }

private:
    template_parts m_parts;
};

/// a < b <= c: each holds of its neighbours; the rest is not looked at behind one that does not.
class comparison_expression : public template_expression {
public:
    using comparison = bool (*)(template_run&, const template_value&, const template_value&);
    comparison_expression(template_part first,
                          std::vector<std::pair<comparison, template_part>> rest)
        : m_first(std::move(first)), m_rest(std::move(rest)) {}
    [[nodiscard]] template_value evaluate(template_run& run) const override {
        template_value left = value_of(run, m_first);
        for (const auto& [holds, part] : m_rest) {
            template_value right = value_of(run, part);
            if (!holds(run, left, right)) { return false; }
            left = std::move(right);
        }
        return true;
    }

private:
    template_part m_first;
    std::vector<std::pair<comparison, template_part>> m_rest;
};

/// a and b, a or b: the value that decides.
class logic_expression : public template_expression {
public:
    logic_expression(template_parts parts, bool is_or)
        : m_parts(std::move(parts)), m_is_or(is_or) {}
    [[nodiscard]] template_value evaluate(template_run& run) const override {
        template_value out;
        for (const template_part& part : m_parts) {
            out = value_of(run, part);
            if (truth(out) == m_is_or) { break; }
        }
        return out;
    }

private:
    template_parts m_parts;
    bool m_is_or;
};

class not_expression : public template_expression {
public:
    explicit not_expression(template_part of) : m_of(std::move(of)) {}
    [[nodiscard]] template_value evaluate(template_run& run) const override {
        return !truth(value_of(run, m_of));
    }

private:
    template_part m_of;
};

/// a if b else c
class conditional_expression : public template_expression {
public:
    conditional_expression(template_part condition, template_part yes, template_part no)
        : m_condition(std::move(condition)), m_yes(std::move(yes)), m_no(std::move(no)) {}
    [[nodiscard]] template_value evaluate(template_run& run) const override {
        if (truth(value_of(run, m_condition))) { return value_of(run, m_yes); }
        if (m_no != nullptr) { return value_of(run, m_no); }
        return template_value::undefined(
            "an inline if-expression evaluated to false and has no else");
    }

private:
    template_part m_condition;
    template_part m_yes;
    template_part m_no;
};

}  // namespace xlens::detail
