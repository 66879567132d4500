// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_expression.hpp>
#include <xlens/text/templates/template_functions.hpp>
#include <xlens/text/templates/template_method_names.hpp>
#include <xlens/text/templates/template_postfix.hpp>
#include <xlens/text/templates/template_run.hpp>
#include <xlens/text/templates/template_token_reader.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens::detail {

/// Reads expressions, with the grammar and precedence of Jinja 3.1: or, and, not, comparisons,
/// + -, ~, * / // %, **, signs; what stands behind a value; filters and tests.
class expression_parser : public template_token_reader {
public:
    using template_token_reader::template_token_reader;

protected:
    // Names.

    template_name name_of(const std::string& spelt) {
        const auto found = std::ranges::find(m_names, spelt);
        if (found != m_names.end()) { return static_cast<std::size_t>(found - m_names.begin()); }
        m_names.push_back(spelt);
        return m_names.size() - 1;
    }
    template_name stored(const std::string& spelt) {
        if (spelt == "loop" && m_loops > 0) { wrong("'loop' cannot be set inside of a loop"); }
        m_stored.insert(spelt);
        return name_of(spelt);
    }
    template_part loaded(const std::string& spelt) {
        for (auto& names : m_loaded) { names.insert(spelt); }
        const bool is_function =
            spelt == "cycler" || spelt == "joiner" || spelt == "lipsum" || spelt == "self";
        if (is_function && !m_stored.contains(spelt)) { wrong("'" + spelt + "' is not supported"); }
        return std::make_unique<name_expression>(name_of(spelt), spelt, template_function(spelt));
    }

    // Expressions.

    /// a if b else c
    template_part expression(bool with_conditions = true) {
        const depth_guard guard(*this);
        template_part out = disjunction();
        while (with_conditions && is_word("if")) {
            skip();
            const bool before = std::exchange(m_soft, true);
            template_part condition = disjunction();
            template_part otherwise;
            if (accept_word("else")) { otherwise = expression(); }
            m_soft = before;
            out = std::make_unique<conditional_expression>(std::move(condition), std::move(out),
                                                           std::move(otherwise));
        }
        return out;
    }
    /// One expression, or a tuple of several between commas; it ends at `end_word`.
    template_part tuple(bool with_conditions = true, bool in_brackets = false,
                        std::string_view end_word = {}) {
        template_parts items;
        bool is_tuple = false;
        while (!ends_tuple(end_word)) {
            items.push_back(expression(with_conditions));
            if (!accept(",")) { break; }
            is_tuple = true;
        }
        if (!is_tuple && items.size() == 1) { return std::move(items.front()); }
        if (!is_tuple && !in_brackets) { unexpected("an expression"); }
        return std::make_unique<list_expression>(std::move(items), list_form::tuple);
    }
    /// (a, *b, c=d, **e)
    argument_list arguments() {
        argument_list out;
        expect("(");
        bool first = true;
        while (!is_mark(")")) {
            if (!std::exchange(first, false)) {
                expect(",");
                if (is_mark(")")) { break; }
            }
            read_argument(out);
        }
        expect(")");
        return out;
    }
    /// Filters behind a value: | a | b(c); the first one without its | if `at_name`.
    postfix_steps filters(bool at_name) {
        postfix_steps out;
        while (at_name || accept("|")) {
            at_name = false;
            out.push_back(filter());
        }
        return out;
    }

    std::vector<std::string> m_names;             // by their numbers
    std::vector<std::set<std::string>> m_loaded;  // names that each open macro reads
    std::size_t m_loops = 0;                      // for statements that are open
    bool m_soft = false;  // where Jinja fails for an unknown filter only if it is reached

private:
    [[nodiscard]] bool ends_tuple(std::string_view end_word) const {
        return is(kind::variable_end) || is(kind::block_end) || is_mark(")") ||
               (!end_word.empty() && is_word(end_word));
    }
    void read_argument(argument_list& to) {
        const auto ensure = [&](bool good) {
            if (!good) { wrong("arguments in a wrong order"); }
        };
        if (accept("*")) {
            ensure(to.more == nullptr && to.more_named == nullptr);
            to.more = expression();
        } else if (accept("**")) {
            ensure(to.more_named == nullptr);
            to.more_named = expression();
        } else if (is(kind::name) && following().what == kind::mark && following().text == "=") {
            ensure(to.more_named == nullptr);
            const std::string name = expect_name();
            skip();
            const auto same = [&](const auto& old) { return old.first == name; };
            ensure(std::ranges::none_of(to.named, same));
            to.named.emplace_back(name, expression());
        } else {
            ensure(to.more == nullptr && to.more_named == nullptr && to.named.empty());
            to.positional.push_back(expression());
        }
    }

    template_part disjunction() {
        return logic("or", true,
                     [this] { return logic("and", false, [this] { return negation(); }); });
    }
    template <class Part>
    template_part logic(std::string_view word, bool is_or, Part&& part) {
        template_parts parts;
        do { parts.push_back(part()); } while (accept_word(word));
        if (parts.size() == 1) { return std::move(parts.front()); }
        return std::make_unique<logic_expression>(std::move(parts), is_or);
    }
    template_part negation() {
        const depth_guard guard(*this);
        if (!accept_word("not")) { return comparison(); }
        return std::make_unique<not_expression>(negation());
    }
    template_part comparison() {
        using compare = comparison_expression::comparison;
        template_part first = sum();
        std::vector<std::pair<compare, template_part>> rest;
        while (true) {
            compare holds = comparison_sign();
            if (holds == nullptr) { break; }
            rest.emplace_back(holds, sum());
        }
        if (rest.empty()) { return first; }
        return std::make_unique<comparison_expression>(std::move(first), std::move(rest));
    }
    comparison_expression::comparison comparison_sign() {
        using value = const template_value&;
        if (accept("==")) {
            return [](auto& run, value a, value b) { return equal(run.budget, a, b); };
        }
        if (accept("!=")) {
            return [](auto& run, value a, value b) { return !equal(run.budget, a, b); };
        }
        if (accept("<=")) {
            return [](auto& run, value a, value b) { return at_most(run, a, b, "<="); };
        }
        if (accept(">=")) {
            return [](auto& run, value a, value b) { return at_most(run, b, a, ">="); };
        }
        if (accept("<")) {
            return [](auto& run, value a, value b) { return less(run.budget, a, b, "<"); };
        }
        if (accept(">")) {
            return [](auto& run, value a, value b) { return less(run.budget, b, a, ">"); };
        }
        if (accept_word("in")) {
            return [](auto& run, value a, value b) { return contains_value(run.budget, b, a); };
        }
        const template_token& next = following();
        if (is_word("not") && next.what == kind::name && next.text == "in") {
            skip();
            skip();
            return [](auto& run, value a, value b) { return !contains_value(run.budget, b, a); };
        }
        return nullptr;
    }
    /// Operators of one precedence, from left to right.
    template <std::size_t Count, class Part>
    template_part chain(
        const std::array<std::pair<std::string_view, arithmetic_expression::operation>, Count>&
            operators,
        Part&& part) {
        template_part first = part();
        std::vector<std::pair<arithmetic_expression::operation, template_part>> rest;
        while (true) {
            const auto found = std::ranges::find_if(
                operators, [this](const auto& each) { return accept(each.first); });
            if (found == operators.end()) { break; }
            rest.emplace_back(found->second, part());
        }
        if (rest.empty()) { return first; }
        return std::make_unique<arithmetic_expression>(std::move(first), std::move(rest));
    }
    using signs = std::pair<std::string_view, arithmetic_expression::operation>;
    template_part sum() {
        static constexpr std::array<signs, 2> operators{{{"+", plus}, {"-", minus}}};
        return chain(operators, [this] { return joined(); });
    }
    template_part joined() {
        template_parts parts;
        do { parts.push_back(product()); } while (accept("~"));
        if (parts.size() == 1) { return std::move(parts.front()); }
        return std::make_unique<joined_expression>(std::move(parts));
    }
    template_part product() {
        static constexpr std::array<signs, 4> operators{
            {{"*", times}, {"/", divided}, {"//", floor_divided}, {"%", remainder_of}}};
        return chain(operators, [this] { return powers(); });
    }
    template_part powers() {
        static constexpr std::array<signs, 1> operators{{{"**", power}}};
        return chain(operators, [this] { return unary(true); });
    }
    template_part unary(bool with_filters) {
        const depth_guard guard(*this);
        template_part out;
        if (is_mark("-") || is_mark("+")) {
            const bool minus = accept("-");
            if (!minus) { skip(); }
            out = std::make_unique<sign_expression>(unary(false), minus);
        } else {
            out = primary();
        }
        postfix_steps steps;
        postfix(steps);
        if (with_filters) { read_filters_and_tests(steps); }
        return with_steps(std::move(out), std::move(steps));
    }

protected:
    static template_part with_steps(template_part of, postfix_steps steps) {
        if (steps.empty()) { return of; }
        return std::make_unique<postfix_expression>(std::move(of), std::move(steps));
    }

private:
    // In template_postfix_parser.hpp.

    template_part primary();
    void postfix(postfix_steps& to);
    void read_filters_and_tests(postfix_steps& to);
    std::unique_ptr<const postfix_step> subscript();
    std::unique_ptr<const postfix_step> call(const std::string& method);
    std::unique_ptr<const postfix_step> filter();
    std::unique_ptr<const postfix_step> test();

    std::set<std::string> m_stored;
};

}  // namespace xlens::detail
