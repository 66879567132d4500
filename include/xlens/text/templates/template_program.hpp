// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_loop.hpp>
#include <xlens/text/templates/template_macro.hpp>
#include <xlens/text/templates/template_parser.hpp>
#include <xlens/text/templates/template_postfix_parser.hpp>
#include <xlens/text/templates/template_statement.hpp>

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens::detail {

/// A template, read: its statements, and the names of its variables by their numbers.
struct template_program {
    std::vector<std::string> names;
    template_block root;
};

/// Reads statements: for, if, set, macro, call, filter, with, print, break, continue, generation.
/// Every other one is refused by name.
class template_parser : public expression_parser {
public:
    explicit template_parser(std::string_view source)
        : expression_parser(template_lexer(source).tokens()) {}

    template_program program() {
        template_program out;
        out.root = block({});
        out.names = std::move(m_names);
        return out;
    }

private:
    using words = std::initializer_list<std::string_view>;

    /// Up to a tag that begins with one of `ends`, whose word is the next token; else to the end.
    template_block block(words ends) {
        const depth_guard guard(*this);
        template_block out;
        while (!is(kind::end)) {
            if (is(kind::data)) {
                out.push_back(std::make_unique<text_statement>(current().text));
                skip();
            } else if (is(kind::variable_begin)) {
                skip();
                out.push_back(std::make_unique<output_statement>(tuple()));
                expect(kind::variable_end, "}}");
            } else {
                skip();
                if (!is(kind::name)) { unexpected("a statement"); }
                if (std::ranges::find(ends, current().text) != ends.end()) { return out; }
                statement(out);
                expect(kind::block_end, "%}");
            }
        }
        if (ends.size() > 0) {
            wrong("expected " + std::string(*(ends.end() - 1)) + ", got the end");
        }
        return out;
    }
    /// The block of a statement, behind the end of its first tag; the word is taken.
    template_block body(words ends) {
        (void)accept(":");
        expect(kind::block_end, "%}");
        return block(ends);
    }
    template_block whole_body(std::string_view end) {
        template_block out = body({end});
        skip();
        return out;
    }
    /// The same where break and continue cannot leave it, and a filter fails before it is reached.
    template_block closed_body(std::string_view end) {
        const bool breaks = std::exchange(m_breaks, false);
        const bool soft = std::exchange(m_soft, false);
        template_block out = whole_body(end);
        m_breaks = breaks;
        m_soft = soft;
        return out;
    }

    void statement(template_block& to) {
        const std::string word = current().text;
        if (word == "if") { return read_if(to); }
        if (word == "for") { return read_for(to); }
        if (word == "set") { return read_set(to); }
        if (word == "macro") { return read_macro(to); }
        if (word == "call") { return read_call(to); }
        if (word == "with") { return read_with(to); }
        if (word == "break" || word == "continue") {
            if (!m_breaks) { wrong("'" + word + "' outside of a loop is not supported"); }
            skip();
            to.push_back(std::make_unique<flow_statement>(word == "break" ? template_flow::stop
                                                                          : template_flow::again));
        } else if (word == "generation") {
            skip();
            to.push_back(std::make_unique<with_statement>(
                std::vector<std::pair<template_target, template_part>>(),
                closed_body("endgeneration")));
        } else if (word == "filter") {
            skip();
            postfix_steps steps = filters(true);
            to.push_back(std::make_unique<captured_statement>(
                template_target(), true, std::move(steps), closed_body("endfilter")));
        } else if (word == "print") {
            skip();
            while (!is(kind::block_end)) {
                to.push_back(std::make_unique<output_statement>(expression()));
                if (!is(kind::block_end)) { expect(","); }
            }
        } else {
            wrong("statement '" + word + "' is not supported");
        }
    }

    void read_if(template_block& to) {
        std::vector<std::pair<template_part, template_block>> branches;
        const bool before = std::exchange(m_soft, true);
        while (true) {
            const std::string word = expect_name();
            if (word == "endif") { break; }
            template_part condition;
            if (word != "else") { condition = tuple(false); }
            const bool last = condition == nullptr;
            template_block inside = last ? body({"endif"}) : body({"elif", "else", "endif"});
            branches.emplace_back(std::move(condition), std::move(inside));
        }
        m_soft = before;
        to.push_back(std::make_unique<if_statement>(std::move(branches)));
    }
    void read_for(template_block& to) {
        skip();
        for_statement::parts parts;
        const std::size_t loops = m_loops++;
        parts.target = target("in", false);
        --m_loops;
        if (!accept_word("in")) { unexpected("in"); }
        parts.source = tuple(false, false, "recursive");
        if (accept_word("if")) { parts.choice = expression(); }
        parts.is_recursive = accept_word("recursive");
        parts.loop = name_of("loop");
        m_loops = loops + 1;
        const bool breaks = std::exchange(m_breaks, true);
        const bool soft = std::exchange(m_soft, false);
        parts.body = body({"endfor", "else"});
        m_breaks = breaks;
        if (expect_name() == "else") { parts.otherwise = whole_body("endfor"); }
        m_soft = soft;
        m_loops = loops;
        to.push_back(std::make_unique<for_statement>(std::move(parts)));
    }
    void read_set(template_block& to) {
        skip();
        template_target name = target({}, true);
        if (accept("=")) {
            to.push_back(std::make_unique<set_statement>(std::move(name), tuple()));
            return;
        }
        postfix_steps steps = filters(false);
        template_block inside = closed_body("endset");
        to.push_back(std::make_unique<captured_statement>(std::move(name), false, std::move(steps),
                                                          std::move(inside)));
    }
    void read_with(template_block& to) {
        skip();
        std::vector<std::pair<template_target, template_part>> variables;
        while (!is(kind::block_end)) {
            if (!variables.empty()) { expect(","); }
            template_target name = target({}, false);
            expect("=");
            variables.emplace_back(std::move(name), expression());
        }
        to.push_back(std::make_unique<with_statement>(std::move(variables), whole_body("endwith")));
    }
    void read_macro(template_block& to) {
        skip();
        macro_parts parts;
        parts.spelt = expect_name();
        const template_name name = stored(parts.spelt);
        read_parameters(parts);
        read_macro_body(parts, "endmacro");
        to.push_back(std::make_unique<macro_statement>(name, std::move(parts)));
    }
    void read_call(template_block& to) {
        skip();
        macro_parts parts;
        parts.spelt = "caller";
        if (is_mark("(")) { read_parameters(parts); }
        template_part call = expression();
        const auto* postfix = dynamic_cast<const postfix_expression*>(call.get());
        if (postfix == nullptr || !postfix->is_call()) { wrong("call: expected a call"); }
        read_macro_body(parts, "endcall");
        to.push_back(std::make_unique<call_statement>(std::move(call), std::move(parts)));
    }
    void read_parameters(macro_parts& to) {
        expect("(");
        while (!is_mark(")")) {
            if (!to.parameters.empty()) { expect(","); }
            macro_parts::parameter p;
            p.spelt = expect_name();
            p.name = stored(p.spelt);
            if (accept("=")) {
                p.otherwise = expression();
            } else if (!to.parameters.empty() && to.parameters.back().otherwise != nullptr) {
                wrong("a parameter without a default behind one that has one");
            }
            if (p.spelt == "caller") { wrong("a parameter 'caller' is not supported"); }
            to.parameters.push_back(std::move(p));
        }
        expect(")");
    }
    void read_macro_body(macro_parts& to, std::string_view end) {
        m_loaded.emplace_back();
        to.body = closed_body(end);
        const std::set<std::string> names = std::move(m_loaded.back());
        m_loaded.pop_back();
        const auto special = [&](const std::string& name) -> std::optional<template_name> {
            const auto same = [&](const auto& p) { return p.spelt == name; };
            if (!names.contains(name) || std::ranges::any_of(to.parameters, same)) { return {}; }
            return name_of(name);
        };
        to.caller = special("caller");
        to.more = special("varargs");
        to.more_named = special("kwargs");
    }

    /// What is assigned to, up to `end_word` or what cannot belong to it.
    template_target target(std::string_view end_word, bool with_members) {
        template_target out;
        template_target first = one_target(with_members);
        if (!is_mark(",")) { return first; }
        out.is_tuple = true;
        out.several.push_back(std::move(first));
        while (accept(",")) {
            if (is_mark("=") || is_mark(")") || is(kind::block_end) ||
                (!end_word.empty() && is_word(end_word))) {
                break;
            }
            out.several.push_back(one_target(with_members));
        }
        return out;
    }
    template_target one_target(bool with_members) {
        const depth_guard guard(*this);
        if (accept("(")) {
            template_target out = target({}, with_members);
            expect(")");
            return out;
        }
        template_target out;
        out.spelt = expect_name();
        for (const char* constant : {"true", "True", "false", "False", "none", "None"}) {
            if (out.spelt == constant) { wrong("'" + out.spelt + "' cannot be set"); }
        }
        if (with_members && accept(".")) {
            out.member = expect_name();
            out.name = name_of(out.spelt);
        } else {
            out.name = stored(out.spelt);
        }
        return out;
    }

    bool m_breaks = false;  // inside of a loop that break can leave
};

}  // namespace xlens::detail
