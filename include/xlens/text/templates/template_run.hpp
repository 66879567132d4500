// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_budget.hpp>
#include <xlens/text/templates/template_date.hpp>
#include <xlens/text/templates/template_object.hpp>
#include <xlens/text/templates/template_value.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens::detail {

/// A name of a template, as a number.
using template_name = std::size_t;

/// The variables of a loop's turn, of a macro's call, or of the whole template. What is not here is
/// looked for in the frame that it stands in: of a macro, where it was defined.
class template_frame {
public:
    explicit template_frame(const template_frame* outer) : m_outer(outer) {}

    void set(template_name name, template_value value) {
        for (auto& [known, old] : m_variables) {
            if (known == name) {
                old = std::move(value);
                return;
            }
        }
        m_variables.emplace_back(name, std::move(value));
    }
    /// The variable, or null.
    [[nodiscard]] const template_value* find(template_name name) const {
        for (const template_frame* frame = this; frame != nullptr; frame = frame->m_outer) {
            for (const auto& [known, value] : frame->m_variables) {
                if (known == name) { return &value; }
            }
        }
        return nullptr;
    }
    void clear() { m_variables.clear(); }

private:
    const template_frame* m_outer;
    std::vector<std::pair<template_name, template_value>> m_variables;
};

/// A template while it is rendered. Frames end in the order in which they began, and what refers to
/// one (a macro, a loop) cannot outlive it: namespaces take no such values.
class template_run {
public:
    /// v.name(arguments), for a method that Python has: template_methods.hpp, which needs items, as
    /// these need methods.
    using method = template_value (*)(template_run& run, const template_value& v,
                                      std::string_view name, const template_arguments& arguments);

    template_run(const template_limits& limits, template_clock now, method calls)
        : budget(limits), clock(now), call_method(calls), m_root(nullptr), m_frame(&m_root) {}
    template_run(const template_run&) = delete;
    template_run& operator=(const template_run&) = delete;

    template_budget budget;
    template_clock clock;
    method call_method;

    [[nodiscard]] template_frame& frame() { return *m_frame; }

    /// Makes a frame the present one until it ends.
    class scope {
    public:
        scope(template_run& run, const template_frame* outer)
            : m_run(run), m_before(run.m_frame), m_frame(outer) {
            run.m_frame = &m_frame;
        }
        explicit scope(template_run& run) : scope(run, run.m_frame) {}
        ~scope() { m_run.m_frame = m_before; }
        scope(const scope&) = delete;
        scope& operator=(const scope&) = delete;

    private:
        template_run& m_run;
        template_frame* m_before;
        template_frame m_frame;
    };

    /// A value that an operator, filter or method made, which is counted.
    template_value made(template_value v) {
        constexpr std::size_t each = 96;  // what an item takes, with its text
        if (v.is_text()) {
            budget.bytes(v.text().size());
        } else if (v.is_row()) {
            budget.bytes(v.row().items.size(), each);
        }
        return v;
    }

    void write(const std::string& text) {
        budget.bytes(text.size());
        m_out += text;
    }
    /// What `write` gets while `body` runs.
    template <class Body>
    std::string captured(Body&& body) {
        std::string before = std::exchange(m_out, {});
        body();
        return std::exchange(m_out, std::move(before));
    }

private:
    template_frame m_root;
    template_frame* m_frame;
    std::string m_out;
};

}  // namespace xlens::detail
