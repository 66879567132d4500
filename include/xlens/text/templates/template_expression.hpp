// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_lexer.hpp>
#include <xlens/text/templates/template_scope.hpp>
#include <xlens/text/templates/template_value.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens::detail {

/// Reads expressions of Jinja: literals, variables, items, slices, calls, filters, tests, and the
/// operators of arithmetic, comparison and logic. Precedence as in Jinja.
class expression_parser : public template_lexer {
public:
    explicit expression_parser(std::string_view text) : template_lexer(text) {}

    /// The whole text as one expression.
    template_expression whole() {
        template_expression out = conditional();
        if (!at_end()) { unexpected(); }
        return out;
    }
    template_expression conditional() {
        const depth_guard guard(*this);
        template_expression yes = disjunction();
        if (!accept_word("if")) { return yes; }
        template_expression condition = disjunction();
        template_expression no = [](template_scope&) { return undefined(); };
        if (accept_word("else")) { no = conditional(); }
        return [=](template_scope& s) { return truth(condition(s)) ? yes(s) : no(s); };
    }
    /// An expression that is no `a if b`.
    template_expression disjunction() {
        template_expression left = conjunction();
        while (accept_word("or")) {
            left = [a = left, b = conjunction()](template_scope& s) {
                template_value v = a(s);
                return truth(v) ? v : b(s);
            };
        }
        return left;
    }

private:
    static constexpr std::size_t most_depth = 64;
    struct depth_guard {
        explicit depth_guard(expression_parser& p) : parser(p) {
            if (++parser.m_depth > most_depth) { fail_template("nested too deep"); }
        }
        ~depth_guard() { --parser.m_depth; }
        depth_guard(const depth_guard&) = delete;
        depth_guard& operator=(const depth_guard&) = delete;
        expression_parser& parser;
    };

    template_expression conjunction() {
        template_expression left = negation();
        while (accept_word("and")) {
            left = [a = left, b = negation()](template_scope& s) {
                template_value v = a(s);
                return truth(v) ? b(s) : v;
            };
        }
        return left;
    }
    template_expression negation() {
        const depth_guard guard(*this);
        if (!accept_word("not")) { return comparison(); }
        return [a = negation()](template_scope& s) { return template_value(!truth(a(s))); };
    }
    template_expression comparison() {
        template_expression left = sum();
        while (true) {
            if (accept_word("is")) {
                const bool wanted = !accept_word("not");
                left = [a = left, test = name(), wanted](template_scope& s) {
                    return template_value(passes_test(a(s), test) == wanted);
                };
            } else if (accept_word("in")) {
                left = [a = left, b = sum()](template_scope& s) {
                    return template_value(contains_value(b(s), a(s)));
                };
            } else if (accept_word("not")) {
                if (!accept_word("in")) { unexpected(); }
                left = [a = left, b = sum()](template_scope& s) {
                    return template_value(!contains_value(b(s), a(s)));
                };
            } else if (!accept_order(left)) {
                return left;
            }
        }
    }
    bool accept_order(template_expression& left) {
        using compare = bool (*)(const template_value&, const template_value&);
        static const std::array<std::pair<std::string_view, compare>, 6> marks{{
            {"==", [](const auto& a, const auto& b) { return a == b; }},
            {"!=", [](const auto& a, const auto& b) { return !(a == b); }},
            {"<=", [](const auto& a, const auto& b) { return a <= b; }},
            {">=", [](const auto& a, const auto& b) { return a >= b; }},
            {"<", [](const auto& a, const auto& b) { return a < b; }},
            {">", [](const auto& a, const auto& b) { return a > b; }},
        }};
        for (const auto& [mark, holds] : marks) {
            if (!accept(mark)) { continue; }
            left = [a = left, b = sum(), test = holds](template_scope& s) {
                return template_value(test(a(s), b(s)));
            };
            return true;
        }
        return false;
    }
    template_expression sum() {
        template_expression left = product();
        while (true) {
            if (accept("~")) {
                left = [a = left, b = product()](template_scope& s) {
                    return template_value(text_of(a(s)) + text_of(b(s)));
                };
            } else if (accept("+")) {
                left = [a = left, b = product()](template_scope& s) { return plus(a(s), b(s)); };
            } else if (accept("-")) {
                left = [a = left, b = product()](template_scope& s) {
                    return template_value(whole_number(a(s)) - whole_number(b(s)));
                };
            } else {
                return left;
            }
        }
    }
    template_expression product() {
        template_expression left = postfix();
        while (true) {
            if (accept("*")) {
                left = [a = left, b = postfix()](template_scope& s) {
                    return template_value(whole_number(a(s)) * whole_number(b(s)));
                };
            } else if (accept("%")) {
                left = [a = left, b = postfix()](template_scope& s) {
                    const std::int64_t by = whole_number(b(s));
                    if (by == 0) { fail_template("modulo by zero"); }
                    return template_value((whole_number(a(s)) % by + by) % by);
                };
            } else {
                return left;
            }
        }
    }
    static template_value plus(const template_value& a, const template_value& b) {
        if (a.is_string() || b.is_string()) { return string_in(a, "+") + string_in(b, "+"); }
        if (a.is_array() && b.is_array()) {
            template_value out = a;
            out.insert(out.end(), b.begin(), b.end());
            return out;
        }
        return whole_number(a) + whole_number(b);
    }
    // Held to 32 bits, so that no sum or product of a template's numbers overflows.
    static std::int64_t whole_number(const template_value& v) {
        if (!v.is_number_integer() || v.get<std::int64_t>() > INT32_MAX ||
            v.get<std::int64_t>() < INT32_MIN) {
            fail_template("expected a whole number of 32 bits");
        }
        return v.get<std::int64_t>();
    }

    template_expression postfix() {
        template_expression left = primary();
        while (true) {
            if (accept(".")) {
                left = member(std::move(left));
            } else if (accept("[")) {
                left = item(std::move(left));
            } else if (accept("|")) {
                const std::string filter = name();
                auto given = accept("(") ? arguments() : std::vector<template_expression>();
                left = [a = left, filter, given](template_scope& s) {
                    return apply_filter(a(s), filter, values(given, s));
                };
            } else {
                return left;
            }
        }
    }
    template_expression member(template_expression left) {
        std::string key = name();
        if (accept("(")) {
            return [a = std::move(left), key, given = arguments()](template_scope& s) {
                return call_method(a(s), key, values(given, s));
            };
        }
        return [a = std::move(left), key](template_scope& s) { return item_of(a(s), key); };
    }
    template_expression item(template_expression left) {
        const template_expression none = [](template_scope&) { return undefined(); };
        const template_expression first = accept(":") ? (put_back(), none) : conditional();
        if (accept(":")) {
            const template_expression last = accept("]") ? (put_back(), none) : conditional();
            expect("]");
            return [a = std::move(left), first, last](template_scope& s) {
                return slice_of(a(s), first(s), last(s));
            };
        }
        expect("]");
        return [a = std::move(left), first](template_scope& s) { return item_of(a(s), first(s)); };
    }

    template_expression primary() {
        const depth_guard guard(*this);
        skip_spaces();
        if (at_end()) { unexpected(); }
        const char c = next();
        if (c == '\'' || c == '"') { return constant(string_literal()); }
        if (std::isdigit(static_cast<unsigned char>(c)) != 0) { return constant(number_literal()); }
        if (accept("(")) {
            template_expression inner = conditional();
            expect(")");
            return inner;
        }
        if (accept("-")) {
            return
                [a = primary()](template_scope& s) { return template_value(-whole_number(a(s))); };
        }
        if (accept("[")) {
            return [all = list("]")](template_scope& s) { return template_value(values(all, s)); };
        }
        return named();
    }
    template_expression named() {
        const std::string word = name();
        if (word == "true" || word == "True") { return constant(true); }
        if (word == "false" || word == "False") { return constant(false); }
        if (word == "none" || word == "None") { return constant(nullptr); }
        if (accept("(")) { return call(word); }
        return [word](template_scope& s) {
            const template_value* found = s.find(word);
            return found == nullptr ? undefined() : *found;
        };
    }
    template_expression call(const std::string& function) {
        if (function == "raise_exception") {
            return [given = arguments()](template_scope& s) -> template_value {
                fail_template(given.empty() ? std::string("it refuses") : text_of(given[0](s)));
            };
        }
        if (function != "namespace") { fail_template("'" + function + "()' is not supported"); }
        std::map<std::string, template_expression> members;
        while (!accept(")")) {
            const std::string key = name();
            expect("=");
            members[key] = conditional();
            accept(",");
        }
        return [members](template_scope& s) {
            template_value out = template_value::object();
            for (const auto& [key, value] : members) { out[key] = value(s); }
            return out;
        };
    }

    std::vector<template_expression> arguments() { return list(")"); }
    std::vector<template_expression> list(std::string_view end) {
        std::vector<template_expression> out;
        while (!accept(end)) {
            out.push_back(conditional());
            if (!accept(",")) {
                expect(end);
                break;
            }
        }
        return out;
    }
    static std::vector<template_value> values(const std::vector<template_expression>& all,
                                              template_scope& s) {
        std::vector<template_value> out;
        for (const template_expression& e : all) { out.push_back(e(s)); }
        return out;
    }
    static template_expression constant(template_value v) {
        return [v = std::move(v)](template_scope&) { return v; };
    }

    std::size_t m_depth = 0;
};

}  // namespace xlens::detail
