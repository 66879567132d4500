// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#if XLENS_DEFINES(json)
#include <iterator>
#endif

namespace xlens {

/// How a string spells what JSON escapes, beside quotes and backslashes.
enum class json_escapes {
    numbers,  ///< control characters by their numbers, four hexadecimal digits behind a u
    letters,  ///< by a letter where there is one (b f n r t), else by their numbers
    script,   ///< as `numbers`, and < > & U+2028 U+2029: may stand in a `script` element, which the
              ///< text can neither end nor open a comment in
};

namespace detail {

/// Appends what stands for a byte, or nothing if it stands for itself.
XLENS_API bool put_escape(std::string& out, char c, json_escapes escapes);

}  // namespace detail

/// Appends `text`, valid UTF-8, as a JSON string with its quotes.
XLENS_API void append_json_string(std::string& out, std::string_view text,
                                  json_escapes escapes = json_escapes::numbers);

/// Writes one JSON document piece by piece: a trace of every position of a long prompt would not
/// fit in memory as a tree. Numbers are the shortest decimals that give back the same bits (at most
/// 9 digits for a float); NaN and infinities, which JSON lacks, become null.
class json_writer {
public:
    /// Gives the text to `put` in parts of 64 KiB or more; the last one with finish().
    explicit json_writer(std::function<void(std::string_view)> put,
                         json_escapes escapes = json_escapes::numbers)
        : m_put(std::move(put)), m_to(&m_own), m_escapes(escapes) {}
    /// Appends to a text.
    explicit json_writer(std::string& to, json_escapes escapes = json_escapes::numbers)
        : m_to(&to), m_escapes(escapes) {}
    json_writer(const json_writer&) = delete;
    json_writer& operator=(const json_writer&) = delete;

    void begin_object() { open('{'); }
    void end_object() { close('}'); }
    void begin_array() { open('['); }
    void end_array() { close(']'); }
    /// Before each value inside an object.
    void key(std::string_view name);

    /// `text` must be valid UTF-8.
    void value(std::string_view text);
    void value(const char* text) { value(std::string_view(text)); }
    void value(const std::string& text) { value(std::string_view(text)); }
    void value(bool truth) { literal(truth ? "true" : "false"); }
    void value(float number) { finite(number); }
    void value(double number) { finite(number); }
    template <class Integer>
        requires std::is_integral_v<Integer>
    void value(Integer number) {
        literal(std::to_string(number));
    }
    /// A value that is JSON already, as it is.
    void literal(std::string_view json);

    template <class T>
    void field(std::string_view name, const T& content) {
        key(name);
        value(content);
    }

    /// The next key or value begins a line.
    void line_break() { m_line_break = true; }
    /// Ends the document with a line break, and hands over what is left.
    void finish();

private:
    template <class Number>
    void finite(Number number) {
        literal(std::isfinite(number) ? fmt::to_string(number) : "null");
    }
    void open(char bracket);
    void close(char bracket);
    void hand_over();
    void comma();

    std::function<void(std::string_view)> m_put;  // or nothing: all stays in the text
    std::string m_own;
    std::string* m_to;
    json_escapes m_escapes;
    bool m_line_break = false;
    bool m_first = true;  // nothing stands before in this object or array
    bool m_after_key = false;
};

#if XLENS_DEFINES(json)

namespace detail {

XLENS_API bool put_escape(std::string& out, char c, json_escapes escapes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
        out += '\\';
        out += c;
        return true;
    }
    constexpr std::string_view controls = "\b\f\n\r\t";
    constexpr std::string_view letters = "bfnrt";
    const std::size_t letter = controls.find(c);
    if (escapes == json_escapes::letters && letter != std::string_view::npos) {
        out += '\\';
        out += letters[letter];
        return true;
    }
    const bool markup = escapes == json_escapes::script && (c == '<' || c == '>' || c == '&');
    if (byte >= 0x20 && !markup) { return false; }
    // fmt::format_to would compile fmt's formatting itself, a tenth of a program's code.
    out += fmt::format("\\u{:04x}", static_cast<unsigned>(byte));
    return true;
}

}  // namespace detail

XLENS_API void append_json_string(std::string& out, std::string_view text, json_escapes escapes) {
    out += '"';
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (detail::put_escape(out, text[i], escapes)) { continue; }
        // JavaScript's line ends, U+2028 and U+2029.
        const std::string_view three = text.substr(i, 3);
        if (escapes == json_escapes::script && (three == "\u2028" || three == "\u2029")) {
            out += three == "\u2028" ? "\\u2028" : "\\u2029";
            i += 2;
            continue;
        }
        out += text[i];
    }
    out += '"';
}

XLENS_API void json_writer::key(std::string_view name) {
    comma();
    append_json_string(*m_to, name, m_escapes);
    *m_to += ':';
    m_after_key = true;
}

XLENS_API void json_writer::value(std::string_view text) {
    comma();
    append_json_string(*m_to, text, m_escapes);
}

XLENS_API void json_writer::literal(std::string_view json) {
    comma();
    *m_to += json;
}

XLENS_API void json_writer::finish() {
    *m_to += '\n';
    hand_over();
}

XLENS_API void json_writer::open(char bracket) {
    comma();
    *m_to += bracket;
    m_first = true;
}

XLENS_API void json_writer::close(char bracket) {
    constexpr std::size_t enough = 1U << 16U;
    *m_to += bracket;
    m_first = false;
    if (m_to->size() >= enough) { hand_over(); }
}

XLENS_API void json_writer::hand_over() {
    if (!m_put) { return; }
    m_put(*m_to);
    m_to->clear();
}

XLENS_API void json_writer::comma() {
    if (!m_first && !m_after_key) { *m_to += ','; }
    if (std::exchange(m_line_break, false)) { *m_to += '\n'; }
    m_first = false;
    m_after_key = false;
}

#endif

}  // namespace xlens
