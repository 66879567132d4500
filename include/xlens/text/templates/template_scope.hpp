// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_value.hpp>

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace xlens::detail {

/// The variables in sight, innermost last.
class template_scope {
public:
    template_scope() : m_levels(1) {}

    void open() { m_levels.emplace_back(); }
    void close() { m_levels.pop_back(); }
    void set(const std::string& name, template_value v) { m_levels.back()[name] = std::move(v); }
    /// A variable to change in place, or null.
    template_value* find(const std::string& name) {
        for (auto level = m_levels.rbegin(); level != m_levels.rend(); ++level) {
            const auto found = level->find(name);
            if (found != level->end()) { return &found->second; }
        }
        return nullptr;
    }

private:
    std::vector<std::map<std::string, template_value>> m_levels;
};

/// An expression, ready to be evaluated any number of times.
using template_expression = std::function<template_value(template_scope&)>;

}  // namespace xlens::detail
