// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/json/lexer.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/text/templates/template_compare.hpp>
#include <xlens/text/templates/template_object.hpp>
#include <xlens/text/templates/template_repr.hpp>
#include <xlens/text/templates/template_run.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// JSON to values of a template, and back as Python's json.dumps writes it.

namespace xlens::detail {

/// Reads a text that parse_json found good: unlike its values these keep the order of keys.
class template_json_reader {
public:
    template_json_reader(std::string_view file, std::string_view text)
        : m_file(file), m_lexer(json_lexer_input(text)) {
        (void)parse_json(file, text);
    }
    template_value whole() { return value(m_lexer.scan()); }

private:
    template_value value(json_token token) {  // as deep as json_limits allow
        switch (token) {
            case json_token::literal_true: return true;
            case json_token::literal_false: return false;
            case json_token::value_string: return std::move(m_lexer.get_string());
            case json_token::value_integer: return m_lexer.get_number_integer();
            case json_token::value_unsigned: {
                const std::uint64_t number = m_lexer.get_number_unsigned();
                if (number > std::numeric_limits<std::int64_t>::max()) {
                    fail("{}: whole numbers beyond 64 bits are not supported, got {}", m_file,
                         number);
                }
                return static_cast<std::int64_t>(number);
            }
            case json_token::value_float: return m_lexer.get_number_float();
            case json_token::begin_array: return array();
            case json_token::begin_object: return object();
            default: return nullptr;
        }
    }
    template_value array() {
        template_values out;
        for (json_token token = m_lexer.scan(); token != json_token::end_array;
             token = m_lexer.scan()) {
            if (token != json_token::value_separator) { out.push_back(value(token)); }
        }
        return out;
    }
    template_value object() {
        template_mapping out;
        for (json_token token = m_lexer.scan(); token != json_token::end_object;
             token = m_lexer.scan()) {
            if (token == json_token::value_separator) { continue; }
            std::string key = std::move(m_lexer.get_string());
            (void)m_lexer.scan();  // the colon
            out.entries.emplace_back(std::move(key), value(m_lexer.scan()));
        }
        return out;
    }

    std::string m_file;
    json_lexer m_lexer;
};

/// json.dumps(v, ensure_ascii, indent, separators, sort_keys), with transformers' defaults.
class template_json_writer {
public:
    template_json_writer(template_run& run, const template_arguments& arguments) : m_run(run) {
        const auto given = bind_arguments("tojson", arguments,
                                          {"ensure_ascii", "indent", "separators", "sort_keys"});
        m_ascii = given[0] != nullptr && truth(*given[0]);
        m_sorts = given[3] != nullptr && truth(*given[3]);
        if (given[1] != nullptr && !given[1]->is_none()) { set_indent(*given[1]); }
        if (m_indent) { m_between = ","; }
        if (given[2] != nullptr && !given[2]->is_none()) {
            const template_value& two = *given[2];
            if (!two.is_sequence() || two.row().items.size() != 2 ||
                !two.row().items[0].is_text() || !two.row().items[1].is_text()) {
                fail_template("tojson: expected two texts as separators");
            }
            m_between = two.row().items[0].text();
            m_colon = two.row().items[1].text();
        }
    }

    std::string text(const template_value& v) {
        write(v, 0);
        return std::move(m_out);
    }

private:
    void set_indent(const template_value& indent) {
        if (indent.is_text()) {
            m_indent = indent.text();
        } else if (indent.is_whole()) {
            m_indent = repeated(m_run.budget, " ", indent.whole());
        } else {
            fail_template("tojson: indent: expected a number or a text, got '" + type_name(indent) +
                          "'");
        }
    }
    void write(const template_value& v, std::size_t level) {
        m_run.budget.step();
        const std::size_t begin = m_out.size();
        if (v.is_none()) {
            m_out += "null";
        } else if (v.is_boolean()) {
            m_out += v.boolean() ? "true" : "false";
        } else if (v.is_integer()) {
            m_out += std::to_string(v.whole());
        } else if (v.is_real()) {
            m_out += number(v.number());
        } else if (v.is_text()) {
            write_string(v.text());
        } else if (v.is_mapping()) {
            return write_mapping(v.mapping(), level);
        } else if (v.is_sequence()) {
            return write_items('[', ']', v.row().items, level,
                               [&](const template_value& item) { write(item, level + 1); });
        } else {
            fail_template("tojson: a '" + type_name(v) + "' is not JSON serializable");
        }
        m_run.budget.bytes(m_out.size() - begin);
    }
    static std::string number(double x) {
        return std::isnan(x)   ? "NaN"
               : std::isinf(x) ? x < 0 ? "-Infinity" : "Infinity"
                               : float_text(x);
    }
    void write_mapping(const template_mapping& mapping, std::size_t level) {
        using entry = std::pair<template_value, template_value>;
        std::vector<const entry*> entries;
        for (const auto& e : mapping.entries) { entries.push_back(&e); }
        if (m_sorts) {
            std::ranges::stable_sort(entries, [&](const entry* a, const entry* b) {
                return less(m_run.budget, a->first, b->first);
            });
        }
        write_items('{', '}', entries, level, [&](const entry* e) {
            const template_value& key = e->first;
            if (key.is_text()) {
                write_string(key.text());
            } else if (key.is_number() || key.is_none()) {
                m_out += '"';
                write(key, level);
                m_out += '"';
            } else {
                fail_template("tojson: keys must be str, int, float, bool or None, got '" +
                              type_name(key) + "'");
            }
            m_out += m_colon;
            write(e->second, level + 1);
        });
    }
    template <class Items, class One>
    void write_items(char open, char close, const Items& items, std::size_t level, One&& one) {
        m_out += open;
        std::string_view before;
        for (const auto& item : items) {
            m_out += std::exchange(before, m_between);
            break_line(level + 1);
            one(item);
        }
        if (!items.empty()) { break_line(level); }
        m_out += close;
    }
    void break_line(std::size_t level) {
        if (!m_indent) { return; }
        m_run.budget.bytes(1 + level * m_indent->size());
        m_out += '\n';
        for (std::size_t i = 0; i < level; ++i) { m_out += *m_indent; }
    }
    void write_string(std::string_view s) {
        constexpr std::string_view controls = "\"\\\n\r\t\f\b";
        constexpr std::string_view letters = "\"\\nrtfb";
        m_out += '"';
        for (std::size_t at = 0; at < s.size();) {
            const utf8_unit unit = read_utf8(s, at);
            const char32_t c = unit.value;
            const std::size_t known = c < 0x80 ? controls.find(s[at]) : std::string_view::npos;
            if (known != std::string_view::npos) {
                m_out += '\\';
                m_out += letters[known];
            } else if (c < 0x20 || (m_ascii && c > 0x7F && c < 0x10000)) {
                m_out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
            } else if (m_ascii && c >= 0x10000) {
                const auto rest = static_cast<unsigned>(c) - 0x10000U;
                m_out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800U + (rest >> 10U),
                                     0xDC00U + (rest & 0x3FFU));
            } else {
                m_out += s.substr(at, unit.length);
            }
            at += unit.length;
        }
        m_out += '"';
    }

    template_run& m_run;
    std::string m_out;
    bool m_ascii = false;
    bool m_sorts = false;
    std::optional<std::string> m_indent;
    std::string m_between = ", ";
    std::string m_colon = ": ";
};

}  // namespace xlens::detail
