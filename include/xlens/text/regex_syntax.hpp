// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace xlens {

namespace detail {

/// Writes a pattern in PCRE2's syntax, front to back; see to_pcre2.
class pattern_writer {
public:
    pattern_writer(std::string_view pattern, std::string_view where)
        : m_pattern(pattern), m_where(where) {}

    std::string write() {
        while (m_at < m_pattern.size()) { step(); }
        return std::move(m_out);
    }

private:
    // Oniguruma's. Outside [] it looks Latin-1 up in a table of its own, with six more.
    static constexpr std::string_view class_word = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
    static constexpr std::string_view word =
        R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE})";
    static constexpr unsigned max_repeat = 1024;

    void step() {
        const char c = m_pattern[m_at];
        const bool quantifies = !m_in_class && (c == '{' || c == '*' || c == '+' || c == '?');
        if (!m_in_class && !quantifies) { m_atom = m_out.size(); }
        if (c == '\\' && m_at + 1 < m_pattern.size()) {
            escape(m_pattern[m_at + 1]);
            m_at += 2;
        } else if (m_in_class) {
            in_class(c);
        } else if (c == '{' && repeat()) {
        } else {
            m_out += c;
            ++m_at;
            if (c == '(') { m_groups.push_back(m_atom); }
            if (c == ')' && !m_groups.empty()) {
                m_atom = m_groups.back();
                m_groups.pop_back();
            }
            if (c == '[') { open_class(); }
        }
    }

    void escape(char escaped) {
        switch (escaped) {
            case 's': m_out += R"(\p{White_Space})"; break;
            case 'S': m_out += R"(\P{White_Space})"; break;
            case 'h': m_out += m_in_class ? "0-9a-fA-F" : "[0-9a-fA-F]"; break;
            case 'w':
                m_out += m_in_class ? std::string(class_word) : fmt::format("[{}]", word);
                break;
            case 'W':
                if (m_in_class) { refuse("\\W inside []"); }
                m_out += fmt::format("[^{}]", word);
                break;
            case 'b':
                m_out += m_in_class
                             ? R"(\b)"
                             : fmt::format("(?:(?<=[{0}])(?![{0}])|(?<![{0}])(?=[{0}]))", word);
                break;
            case 'B':
                m_out += fmt::format("(?:(?<=[{0}])(?=[{0}])|(?<![{0}])(?![{0}]))", word);
                break;
            case 'u': code_point(); break;
            default: m_out.append({'\\', escaped}); named(escaped);
        }
    }

    /// What stands in braces behind \p, \P and \x belongs to them.
    void named(char escaped) {
        const std::size_t end = m_pattern.find('}', m_at + 2);
        if ((escaped != 'p' && escaped != 'P' && escaped != 'x') ||
            m_pattern.substr(m_at + 2, 1) != "{" || end == std::string_view::npos) {
            return;
        }
        m_out += m_pattern.substr(m_at + 2, end - m_at - 1);
        m_at = end - 1;
    }

    /// \uHHHH, which PCRE2 writes \x{HHHH}.
    void code_point() {
        const std::string_view digits = m_pattern.substr(m_at + 2, 4);
        if (digits.size() < 4 ||
            digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) {
            refuse("\\u without four hexadecimal digits");
        }
        m_out += fmt::format(R"(\x{{{}}})", digits);
        m_at += 4;
    }

    void open_class() {
        m_in_class = true;
        if (m_pattern.substr(m_at, 1) == "^") { m_out += m_pattern[m_at++]; }
        if (m_pattern.substr(m_at, 1) == "]") { m_out += m_pattern[m_at++]; }  // a literal ]
    }

    void in_class(char c) {
        const std::string_view pair = m_pattern.substr(m_at, 2);
        if (pair == "[:") {  // [:name:] is copied whole
            const std::size_t end = m_pattern.find(":]", m_at);
            const std::size_t stop = end == std::string_view::npos ? m_pattern.size() : end + 2;
            m_out += m_pattern.substr(m_at, stop - m_at);
            m_at = stop;
            return;
        }
        if (c == '[' || pair == "&&") { refuse("nested or intersected []"); }
        m_in_class = c != ']';
        m_out += c;
        ++m_at;
    }

    /// `{n,m}`. A + behind it repeats once more in Oniguruma, where PCRE2 would match possessively.
    bool repeat() {
        const std::size_t end = m_pattern.find('}', m_at);
        const std::string_view counts =
            end == std::string_view::npos ? "" : m_pattern.substr(m_at + 1, end - m_at - 1);
        if (counts.empty() || counts.find_first_not_of("0123456789,") != std::string_view::npos) {
            return false;
        }
        unsigned value = 0;
        for (const char c : counts) {
            value = c == ',' ? 0 : value * 10 + static_cast<unsigned>(c - '0');
            if (value > max_repeat) {
                refuse(fmt::format("to repeat more than {} times", max_repeat));
            }
        }
        m_out += m_pattern.substr(m_at, end + 1 - m_at);
        m_at = end + 1;
        if (m_pattern.substr(m_at, 1) == "+") {
            m_out.insert(m_atom, "(?:");
            m_out += ')';
        }
        return true;
    }

    [[noreturn]] void refuse(std::string_view what) const {
        fail("{}: {} is not supported in pattern {}", m_where, what, printable(m_pattern));
    }

    std::string_view m_pattern;
    std::string_view m_where;
    std::string m_out;
    std::size_t m_at = 0;
    std::size_t m_atom = 0;  // where what a quantifier repeats begins in m_out
    std::vector<std::size_t> m_groups;
    bool m_in_class = false;
};

}  // namespace detail

/// A pattern as tokenizer.json writes it (Oniguruma, Ruby syntax), in PCRE2's. The two agree on
/// most; what differs is spelt out, so that every Unicode character lands in the same class: `\s`
/// is White_Space (PCRE2's also takes U+180E), `\w` counts marks and connectors, as `\b` does, `\h`
/// is a hexadecimal digit, `x{1,3}+` is `(?:x{1,3})+`. Nested and intersected classes (`[a[b]]`,
/// `[a&&b]`) have no PCRE2 form: an error that begins with `where`; so are repetitions of more than
/// 1024.
inline std::string to_pcre2(std::string_view pattern, std::string_view where) {
    return detail::pattern_writer(pattern, where).write();
}

/// `text` as a pattern that matches exactly it.
inline std::string escape_pattern(std::string_view text) {
    constexpr std::string_view meta = R"(\^$.|?*+()[]{}-#&~)";
    std::string out;
    for (const char c : text) {
        if (meta.find(c) != std::string_view::npos) { out += '\\'; }
        out += c;
    }
    return out;
}

}  // namespace xlens
