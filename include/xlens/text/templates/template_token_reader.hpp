// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_lexer.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens::detail {

/// The tokens of a template, one after another.
class template_token_reader {
public:
    explicit template_token_reader(std::vector<template_token> tokens)
        : m_tokens(std::move(tokens)) {}

protected:
    using kind = template_token::kind;

    [[nodiscard]] const template_token& current() const { return m_tokens[m_next]; }
    /// The one behind it; at the end, the end again.
    [[nodiscard]] const template_token& following() const {
        return m_tokens[m_next + (is(kind::end) ? 0 : 1)];
    }
    void skip() { ++m_next; }
    [[nodiscard]] bool is(kind what) const { return current().what == what; }
    [[nodiscard]] bool is_mark(std::string_view mark) const {
        return is(kind::mark) && current().text == mark;
    }
    [[nodiscard]] bool is_word(std::string_view word) const {
        return is(kind::name) && current().text == word;
    }
    bool accept(std::string_view mark) {
        if (!is_mark(mark)) { return false; }
        skip();
        return true;
    }
    bool accept_word(std::string_view word) {
        if (!is_word(word)) { return false; }
        skip();
        return true;
    }
    void expect(std::string_view mark) {
        if (!accept(mark)) { unexpected("'" + std::string(mark) + "'"); }
    }
    void expect(kind what, const std::string& shown) {
        if (!is(what)) { unexpected(shown); }
        skip();
    }
    std::string expect_name() {
        if (!is(kind::name)) { unexpected("a name"); }
        std::string out = current().text;
        skip();
        return out;
    }
    [[noreturn]] void wrong(const std::string& what) const {
        fail_template_at(current().line, what);
    }
    [[noreturn]] void unexpected(const std::string& expected) const {
        const template_token& t = current();
        std::string found = "'" + t.text + "'";
        if (t.what == kind::end) { found = "the end of the template"; }
        if (t.what == kind::literal) { found = t.value.is_text() ? "a string" : "a number"; }
        if (t.what == kind::variable_end) { found = "}}"; }
        if (t.what == kind::block_end) { found = "%}"; }
        wrong("expected " + expected + ", got " + found);
    }

    /// How deep what is read is nested.
    struct depth_guard {
        explicit depth_guard(template_token_reader& p) : parser(p) {
            constexpr std::size_t most = 100;
            if (++parser.m_depth > most) { parser.wrong("nested too deep: more than 100 levels"); }
        }
        ~depth_guard() { --parser.m_depth; }
        depth_guard(const depth_guard&) = delete;
        depth_guard& operator=(const depth_guard&) = delete;
        template_token_reader& parser;
    };

private:
    std::vector<template_token> m_tokens;
    std::size_t m_next = 0;
    std::size_t m_depth = 0;
};

}  // namespace xlens::detail
