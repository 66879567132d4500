// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_literals.hpp>
#include <xlens/text/templates/template_strings.hpp>
#include <xlens/text/templates/template_value.hpp>
#include <xlens/text/unicode.hpp>
#include <xlens/text/utf8.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens::detail {

/// A part of a template's source.
struct template_token {
    enum class kind : unsigned char {
        data,  // text between tags
        variable_begin,
        variable_end,
        block_begin,
        block_end,
        name,
        literal,  // a string or number
        mark,     // an operator or bracket
        end,      // of the template
    };
    kind what = kind::end;
    std::string text;      // of data, a name or a mark
    template_value value;  // of a literal
    std::size_t line = 0;
};

[[noreturn]] inline void fail_template_at(std::size_t line, const std::string& what) {
    fail_template("line " + std::to_string(line) + ": " + what);
}

/// Cuts a template into tokens as Jinja does with trim_blocks and lstrip_blocks: a line end behind
/// {% %} and {# #} is dropped, and so are spaces before them where a line begins; `-` drops all
/// white space, `+` keeps it. Line ends become \n, and one at the end of the template is dropped.
class template_lexer {
public:
    explicit template_lexer(std::string_view source) {
        if (!is_valid_utf8(source)) { fail_template("the template is not UTF-8"); }
        for (std::size_t i = 0; i < source.size(); ++i) {
            if (source[i] != '\r') {
                m_source += source[i];
            } else if (i + 1 == source.size() || source[i + 1] != '\n') {
                m_source += '\n';
            }
        }
        if (m_source.ends_with('\n')) { m_source.pop_back(); }
    }

    std::vector<template_token> tokens() {
        while (m_at < m_source.size()) { root(); }
        add(kind::end);
        return std::move(m_tokens);
    }

private:
    using kind = template_token::kind;

    [[nodiscard]] std::string_view rest() const { return std::string_view(m_source).substr(m_at); }
    [[nodiscard]] bool at(std::string_view what) const { return rest().starts_with(what); }

    void add(kind what, std::string text = {}, template_value value = {}) {
        m_line += static_cast<std::size_t>(
            std::count(m_source.begin() + static_cast<std::ptrdiff_t>(m_counted),
                       m_source.begin() + static_cast<std::ptrdiff_t>(m_at), '\n'));
        m_counted = m_at;
        m_tokens.push_back({what, std::move(text), std::move(value), m_line});
    }
    void move(std::size_t bytes) {
        if (bytes > 0) { m_line_starts = m_source[m_at + bytes - 1] == '\n'; }
        m_at += bytes;
    }
    [[noreturn]] void wrong(const std::string& what) {
        add(kind::end);
        fail_template_at(m_line, what);
    }

    /// Text, up to a tag or the end, and the tag.
    void root() {
        std::size_t open = m_source.find('{', m_at);
        while (open != std::string::npos &&
               (open + 1 == m_source.size() ||
                std::string_view("{%#").find(m_source[open + 1]) == std::string_view::npos)) {
            open = m_source.find('{', open + 1);
        }
        if (open == std::string::npos) {
            const std::string text(rest());
            m_at = m_source.size();
            add(kind::data, text);
            return;
        }
        add_text(rest().substr(0, open - m_at), sign_at(open + 2), m_source[open + 1] != '{');
        m_at = open;
        const char type = m_source[open + 1];
        const std::size_t inside = open + 2 + (sign_at(open + 2) != 0 ? 1 : 0);
        const std::size_t raw = type == '%' ? raw_tag(open, "raw") : 0;
        if (raw != 0) {
            m_at = open;
            move(raw);
            read_raw();
        } else if (type == '#') {
            read_comment(inside);
        } else {
            m_at = inside;
            m_line_starts = false;
            add(type == '{' ? kind::variable_begin : kind::block_begin);
            read_tag(type == '{');
        }
    }
    [[nodiscard]] char sign_at(std::size_t where) const {
        const char c = where < m_source.size() ? m_source[where] : ' ';
        return c == '-' || c == '+' ? c : '\0';
    }
    void add_text(std::string_view text, char sign, bool drops_indentation) {
        if (sign == '-') {
            text = strip(text, false, true);
        } else if (sign != '+' && drops_indentation) {
            const std::size_t line = text.rfind('\n') + 1;  // 0 where there is none
            if ((line > 0 || m_line_starts) && strip(text.substr(line)).empty()) {
                text = text.substr(0, line);
            }
        }
        if (!text.empty()) { add(kind::data, std::string(text)); }
    }
    [[nodiscard]] std::size_t spaces(std::size_t where) const {
        return leading_white_space(std::string_view(m_source).substr(where));
    }

    /// Bytes of the tag {% word %} at `where`, or 0; what it drops behind it among them.
    [[nodiscard]] std::size_t raw_tag(std::size_t where, std::string_view word) const {
        const std::string_view source = m_source;
        std::size_t end = where + 2;
        if (sign_at(end) != 0) { ++end; }
        end += spaces(end);
        if (!source.substr(end).starts_with(word)) { return 0; }
        end += word.size();
        end += spaces(end);
        const bool ends = word == "endraw";
        const std::size_t closing = closing_tag(end, "%}", ends, ends);
        return closing == 0 ? 0 : end + closing - where;
    }
    /// Bytes of the end of a tag at `where`, or 0; with the white space that it drops.
    [[nodiscard]] std::size_t closing_tag(std::size_t where, std::string_view mark, bool with_plus,
                                          bool drops_line) const {
        const std::string_view source = std::string_view(m_source).substr(where);
        const std::size_t sign = source.starts_with('-') || (with_plus && source.starts_with('+'));
        if (!source.substr(sign).starts_with(mark)) { return 0; }
        const std::size_t end = sign + mark.size();
        if (source.starts_with('-')) { return end + spaces(where + end); }
        const bool line = drops_line && sign == 0 && source.substr(end).starts_with('\n');
        return end + (line ? 1 : 0);
    }
    void read_raw() {
        for (std::size_t open = m_source.find("{%", m_at); open != std::string::npos;
             open = m_source.find("{%", open + 1)) {
            const std::size_t length = raw_tag(open, "endraw");
            if (length == 0) { continue; }
            add_text(rest().substr(0, open - m_at), sign_at(open + 2), true);
            m_at = open;
            move(length);
            return;
        }
        wrong("expected endraw, got the end");
    }
    void read_comment(std::size_t inside) {
        m_at = inside;
        // A sign belongs to the end of the comment where it stands right before it.
        for (std::size_t i = inside; i < m_source.size(); ++i) {
            const std::size_t length = closing_tag(i, "#}", true, true);
            if (length == 0) { continue; }
            m_at = i;
            move(length);
            return;
        }
        wrong("expected #}, got the end");
    }

    /// The tokens of a tag, and its end.
    void read_tag(bool variable) {
        std::string open;  // brackets, each as what closes it
        while (m_at < m_source.size()) {
            const std::size_t end = !open.empty() ? 0
                                    : variable    ? closing_tag(m_at, "}}", false, false)
                                                  : closing_tag(m_at, "%}", true, true);
            if (end != 0) {
                add(variable ? kind::variable_end : kind::block_end);
                return move(end);
            }
            if (const std::size_t blank = spaces(m_at)) {
                m_at += blank;
            } else if (!read_literal() && !read_name()) {
                read_mark(open);
            }
        }
        wrong(variable ? "expected }}, got the end" : "expected %}, got the end");
    }
    bool read_literal() {
        const bool behind_dot = m_at > 0 && m_source[m_at - 1] == '.';
        const template_literal literal = read_template_literal(rest(), behind_dot);
        if (literal.bytes == 0) { return false; }
        if (literal.wrong != nullptr) { wrong(literal.wrong); }
        add(kind::literal, {}, literal.value);
        m_at += literal.bytes;
        return true;
    }
    bool read_name() {
        std::size_t end = m_at;
        while (end < m_source.size()) {
            const utf8_unit unit = read_utf8(m_source, end);
            if (unit.value != '_' && !is_word(unit.value)) { break; }
            end += unit.length;
        }
        if (end == m_at) { return false; }
        add(kind::name, m_source.substr(m_at, end - m_at));
        m_at = end;
        return true;
    }
    void read_mark(std::string& open) {
        static constexpr std::array<std::string_view, 26> marks{
            "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
            "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
        const auto found = std::ranges::find_if(marks, [&](auto mark) { return at(mark); });
        if (found == marks.end()) {
            wrong("unexpected '" + m_source.substr(m_at, read_utf8(m_source, m_at).length) + "'");
        }
        const char c = found->front();
        if (c == '(' || c == '[' || c == '{') {
            open += c == '(' ? ')' : c == '[' ? ']' : '}';
        } else if (c == ')' || c == ']' || c == '}') {
            if (!open.ends_with(c)) { wrong("unexpected '" + std::string(1, c) + "'"); }
            open.pop_back();
        }
        add(kind::mark, std::string(*found));
        m_at += found->size();
    }

    std::string m_source;
    std::vector<template_token> m_tokens;
    std::size_t m_at = 0;
    std::size_t m_line = 1;
    std::size_t m_counted = 0;  // bytes whose lines m_line counts
    bool m_line_starts = true;  // what was read last ended a line
};

}  // namespace xlens::detail
