// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/json/value.hpp>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

#if XLENS_DEFINES(json)
#include <xlens/core/error.hpp>
#include <xlens/json/lexer.hpp>
#include <xlens/storage/guarded.hpp>
#include <xlens/storage/mapped_file.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>
#endif

namespace xlens {

/// What a JSON text may hold. A value takes up to about a hundred bytes of memory.
struct json_limits {
    std::size_t depth = 64;
    std::size_t values = std::size_t{1} << 22U;
    std::size_t bytes = 100'000'000;
};

/// The value of a JSON text (RFC 8259, UTF-8). Fails, naming `file` and the byte, for anything
/// else; also for a byte order mark, NUL bytes, keys that appear twice, numbers that no double
/// holds, and texts over the limits. Never recurses.
XLENS_API json_value parse_json(std::string_view file, std::string_view text,
                                const json_limits& limits = {});
XLENS_API json_value parse_json(std::string_view file, std::span<const std::byte> bytes,
                                const json_limits& limits = {});

/// The value in a JSON file.
XLENS_API json_value read_json(const std::filesystem::path& path, const json_limits& limits = {});

#if XLENS_DEFINES(json)
namespace detail {

/// Fails with what is wrong at a byte of a JSON text, and the text that leads to it.
[[noreturn]] inline void fail_json(std::string_view file, std::string_view text,
                                   std::size_t position, std::string_view what) {
    constexpr std::size_t before = 16;
    const auto end = std::min(position + 1, text.size());
    const auto begin = end > before ? end - before : 0;
    fail("{}: byte {}: {} near '{}'", file, position, what,
         printable(text.substr(begin, end - begin)));
}

/// Reads a JSON text, without recursion: bounded depth, a bounded number of values, no key twice.
class json_parser {
public:
    json_parser(std::string_view file, std::string_view text, const json_limits& limits)
        : m_file(file), m_text(text), m_limits(limits), m_lexer(json_lexer_input(text)) {}

    json_value whole() {
        next();
        while (true) {
            begin_value();
            while (m_value_ended) {
                if (m_open.empty()) {
                    next();
                    expect(json_token::end_of_input);
                    return std::move(m_root);
                }
                end_value();
            }
        }
    }

private:
    void next() { m_token = m_lexer.scan(); }
    void expect(json_token token) const {
        if (m_token != token) { not_valid("not valid JSON"); }
    }
    [[noreturn]] void not_valid(std::string_view what) const {
        // The lexer counts the byte that it stopped at as read.
        const std::size_t read = m_lexer.get_position().chars_read_total;
        fail_json(m_file, m_text, read == 0 ? 0 : read - 1, what);
    }

    /// At the first token of a value: a scalar is read, a container opened.
    void begin_value() {
        m_value_ended = true;
        switch (m_token) {
            case json_token::literal_null: add(json_value()); return;
            case json_token::literal_true: add(json_value(true)); return;
            case json_token::literal_false: add(json_value(false)); return;
            case json_token::value_integer: add(json_value(m_lexer.get_number_integer())); return;
            case json_token::value_unsigned: add(json_value(m_lexer.get_number_unsigned())); return;
            case json_token::value_float:
                if (!std::isfinite(m_lexer.get_number_float())) {
                    not_valid("number out of range");
                }
                add(json_value(m_lexer.get_number_float()));
                return;
            case json_token::value_string: add(json_value(std::move(m_lexer.get_string()))); return;
            case json_token::begin_array: open(json_value(json_list())); return;
            case json_token::begin_object: open(json_value(json_members())); return;
            default: not_valid("not valid JSON");
        }
    }
    /// Behind a value in a container: to the next one, or out of the container.
    void end_value() {
        next();
        if (m_token == json_token::value_separator) {
            next();
            begin_member();
        } else {
            expect(m_open.back()->is_list() ? json_token::end_array : json_token::end_object);
            m_open.pop_back();
        }
    }
    /// At the first token of what a container holds: behind an object's key follows the value.
    void begin_member() {
        m_value_ended = false;
        if (m_open.back()->is_list()) { return; }
        expect(json_token::value_string);
        std::string& key = m_lexer.get_string();
        const auto [member, is_new] = m_open.back()->object().try_emplace(std::move(key));
        if (!is_new) {
            fail("{}: key '{}' appears twice in one object", m_file, printable(member->first));
        }
        m_member = &member->second;
        next();
        expect(json_token::name_separator);
        next();
    }
    void open(json_value container) {
        if (m_open.size() == m_limits.depth) {
            fail("{}: expected JSON nested at most {} deep, got deeper", m_file, m_limits.depth);
        }
        const auto end = container.is_list() ? json_token::end_array : json_token::end_object;
        m_open.push_back(add(std::move(container)));
        next();
        if (m_token == end) {
            m_open.pop_back();
        } else {
            begin_member();
        }
    }
    json_value* add(json_value value) {
        if (++m_values > m_limits.values) {
            fail("{}: expected at most {} JSON values, got more", m_file, m_limits.values);
        }
        json_value* const place = m_open.empty()             ? &m_root
                                  : m_open.back()->is_list() ? &m_open.back()->list().emplace_back()
                                                             : m_member;
        *place = std::move(value);
        return place;
    }

    std::string_view m_file;
    std::string_view m_text;
    json_limits m_limits;
    json_lexer m_lexer;
    json_token m_token = json_token::uninitialized;
    bool m_value_ended = false;
    json_value m_root;
    std::vector<json_value*> m_open;  // a container does not move while it is open
    json_value* m_member = nullptr;   // of the innermost object: where the next value goes
    std::size_t m_values = 0;
};

}  // namespace detail

XLENS_API json_value parse_json(std::string_view file, std::string_view text,
                                const json_limits& limits) {
    if (text.size() > limits.bytes) {
        fail("{}: expected at most {} bytes of JSON, got {}", file, limits.bytes, text.size());
    }
    // nlohmann's lexer skips a byte order mark, and takes a NUL for the end of the text.
    if (text.starts_with('\xEF')) { detail::fail_json(file, text, 0, "not valid JSON"); }
    if (const auto nul = text.find('\0'); nul != std::string_view::npos) {
        detail::fail_json(file, text, nul, "not valid JSON");
    }
    return guarded(file, [&] { return detail::json_parser(file, text, limits).whole(); });
}

XLENS_API json_value parse_json(std::string_view file, std::span<const std::byte> bytes,
                                const json_limits& limits) {
    return parse_json(
        file, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), limits);
}

XLENS_API json_value read_json(const std::filesystem::path& path, const json_limits& limits) {
    const mapped_file file(path);
    return parse_json(file.name(), file.bytes(), limits);
}
#endif

}  // namespace xlens
