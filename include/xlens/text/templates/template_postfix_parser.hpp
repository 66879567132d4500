// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_parser.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The part of expression_parser that reads values, and what stands behind them.

namespace xlens::detail {

inline template_part expression_parser::primary() {
    const auto constant = [](template_value v) {
        return std::make_unique<constant_expression>(std::move(v));
    };
    if (is(kind::name)) {
        const std::string name = expect_name();
        if (name == "true" || name == "True") { return constant(true); }
        if (name == "false" || name == "False") { return constant(false); }
        if (name == "none" || name == "None") { return constant(nullptr); }
        return loaded(name);
    }
    if (is(kind::literal)) {
        template_value value = current().value;
        skip();
        std::string text = value.is_text() ? value.text() : "";
        const bool several = value.is_text() && is(kind::literal) && current().value.is_text();
        while (value.is_text() && is(kind::literal) && current().value.is_text()) {
            text += current().value.text();  // 'a' 'b' is 'ab'
            skip();
        }
        return constant(several ? template_value(std::move(text)) : std::move(value));
    }
    if (accept("(")) {
        template_part out = tuple(true, true);
        expect(")");
        return out;
    }
    if (accept("[")) {
        template_parts items;
        while (!is_mark("]")) {
            items.push_back(expression());
            if (!accept(",")) { break; }
        }
        expect("]");
        return std::make_unique<list_expression>(std::move(items), list_form::list);
    }
    if (accept("{")) {
        std::vector<std::pair<template_part, template_part>> entries;
        while (!is_mark("}")) {
            template_part key = expression();
            expect(":");
            entries.emplace_back(std::move(key), expression());
            if (!accept(",")) { break; }
        }
        expect("}");
        return std::make_unique<dict_expression>(std::move(entries));
    }
    unexpected("an expression");
}

inline void expression_parser::postfix(postfix_steps& to) {
    std::string name;  // of an attribute that stands right before
    while (true) {
        if (is_mark(".") || is_mark("[")) {
            name = is_mark(".") ? following().text : "";
            to.push_back(subscript());
        } else if (is_mark("(")) {
            to.push_back(call(std::exchange(name, {})));
        } else {
            return;
        }
    }
}

inline void expression_parser::read_filters_and_tests(postfix_steps& to) {
    while (true) {
        if (accept("|")) {
            to.push_back(filter());
        } else if (is_word("is")) {
            to.push_back(test());
        } else if (is_mark("(")) {
            to.push_back(call({}));
        } else {
            return;
        }
    }
}

inline std::unique_ptr<const postfix_step> expression_parser::subscript() {
    if (accept(".")) {
        if (is(kind::name)) { return std::make_unique<member_step>(expect_name()); }
        if (!is(kind::literal) || !current().value.is_integer()) { unexpected("a name or number"); }
        auto number = std::make_unique<constant_expression>(current().value);
        skip();
        return std::make_unique<item_step>(std::move(number));
    }
    expect("[");
    template_part parts[3];
    std::size_t colons = 0;
    while (!is_mark("]")) {
        if (is_mark(",")) { wrong("several items between [ ] are not supported"); }
        if (accept(":")) {
            if (++colons > 2) { unexpected("']'"); }
        } else if (parts[colons] == nullptr) {
            parts[colons] = expression();
        } else {
            unexpected("']'");
        }
    }
    expect("]");
    if (colons > 0) {
        return std::make_unique<slice_step>(std::move(parts[0]), std::move(parts[1]),
                                            std::move(parts[2]));
    }
    if (parts[0] == nullptr) { wrong("expected an item between [ ]"); }
    return std::make_unique<item_step>(std::move(parts[0]));
}

inline std::unique_ptr<const postfix_step> expression_parser::call(const std::string& method) {
    if (is_refused_method(method)) { wrong("'." + method + "()' is not supported"); }
    return std::make_unique<call_step>(arguments());
}

inline std::unique_ptr<const postfix_step> expression_parser::filter() {
    std::string name = expect_name();
    while (accept(".")) { name += "." + expect_name(); }
    const template_filter found = find_filter(name);
    const std::string what = "filter '" + name + "' is not supported";
    if (found == nullptr && (!m_soft || is_filter_of_jinja(name))) { wrong(what); }
    argument_list given;
    if (is_mark("(")) { given = arguments(); }
    if (found == nullptr) { return std::make_unique<unknown_step>(what); }
    return std::make_unique<filter_step>(found, std::move(given));
}

inline std::unique_ptr<const postfix_step> expression_parser::test() {
    skip();  // is
    const bool wanted = !accept_word("not");
    std::string name = expect_name();
    while (accept(".")) { name += "." + expect_name(); }
    const template_test found = find_test(name);
    const std::string what = "test '" + name + "' is not supported";
    if (found == nullptr && (!m_soft || is_test_of_jinja(name))) { wrong(what); }
    argument_list given;
    const bool operand = is(kind::name) || is(kind::literal) || is_mark("[") || is_mark("{");
    if (is_mark("(")) {
        given = arguments();
    } else if (operand && !is_word("else") && !is_word("or") && !is_word("and")) {
        if (is_word("is")) { wrong("tests cannot be chained with is"); }
        template_part value = primary();
        postfix_steps steps;
        postfix(steps);
        given.positional.push_back(with_steps(std::move(value), std::move(steps)));
    }
    if (found == nullptr) { return std::make_unique<unknown_step>(what); }
    return std::make_unique<test_step>(found, wanted, std::move(given));
}

}  // namespace xlens::detail
