// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_value.hpp>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace xlens::detail {

/// The text of an expression, read from left to right: marks, names and literals.
class template_lexer {
public:
    explicit template_lexer(std::string_view text) : m_text(text) {}

    bool at_end() {
        skip_spaces();
        return m_at == m_text.size();
    }
    bool accept_word(std::string_view word) {
        skip_spaces();
        if (peek_name() != word) { return false; }
        m_at += word.size();
        return true;
    }
    bool accept(std::string_view mark) {
        skip_spaces();
        if (!m_text.substr(m_at).starts_with(mark)) { return false; }
        m_at += mark.size();
        return true;
    }
    std::string name() {
        skip_spaces();
        const std::string out(peek_name());
        if (out.empty()) { unexpected(); }
        m_at += out.size();
        return out;
    }
    void expect(std::string_view mark) {
        if (!accept(mark)) { unexpected(); }
    }
    [[noreturn]] void unexpected() const {
        fail_template("cannot read '" + std::string(m_text) + "' from '" +
                      std::string(m_text.substr(std::min(m_at, m_text.size()), 20)) + "'");
    }

protected:
    std::string string_literal() {
        const char quote = m_text[m_at++];
        std::string out;
        while (m_at < m_text.size() && m_text[m_at] != quote) {
            char c = m_text[m_at++];
            if (c == '\\' && m_at < m_text.size()) {
                c = m_text[m_at++];
                constexpr std::string_view names = "ntr0";
                constexpr std::string_view meant("\n\t\r\0", 4);
                const std::size_t which = names.find(c);
                if (which != std::string_view::npos) { c = meant[which]; }
            }
            out += c;
        }
        if (m_at == m_text.size()) { unexpected(); }
        ++m_at;
        return out;
    }
    std::int64_t number_literal() {
        std::int64_t out = 0;
        while (m_at < m_text.size() &&
               std::isdigit(static_cast<unsigned char>(m_text[m_at])) != 0) {
            out = std::min<std::int64_t>(10 * out + (m_text[m_at++] - '0'), INT32_MAX);
        }
        return out;
    }
    [[nodiscard]] std::string_view peek_name() const {
        std::size_t end = m_at;
        const auto letter = [&](char c) {
            return c == '_' || std::isalpha(static_cast<unsigned char>(c)) != 0 ||
                   (end > m_at && std::isdigit(static_cast<unsigned char>(c)) != 0);
        };
        while (end < m_text.size() && letter(m_text[end])) { ++end; }
        return m_text.substr(m_at, end - m_at);
    }
    void skip_spaces() {
        while (m_at < m_text.size() &&
               std::isspace(static_cast<unsigned char>(m_text[m_at])) != 0) {
            ++m_at;
        }
    }

    /// The character that comes next; not at the end.
    [[nodiscard]] char next() const { return m_text[m_at]; }
    /// Puts back the mark of one character that was accepted last.
    void put_back() { --m_at; }

private:
    std::string_view m_text;
    std::size_t m_at = 0;
};

}  // namespace xlens::detail
