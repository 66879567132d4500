// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/json/value.hpp>
#include <xlens/storage/guarded.hpp>
#include <xlens/storage/mapped_file.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens {

/// What a JSON text may hold. A value takes up to about a hundred bytes of memory.
struct json_limits {
    std::size_t depth = 64;
    std::size_t values = std::size_t{1} << 22U;
    std::size_t bytes = 100'000'000;
};

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

/// Builds the value from the parser's events, without recursion. Stricter than nlohmann's own
/// builder: no key twice, bounded depth, bounded number of values.
class json_builder final : public json_value::json_sax_t {
public:
    using json = json_value;

    json_builder(std::string_view file, std::string_view text, const json_limits& limits)
        : m_file(file), m_text(text), m_limits(limits) {}

    json take() { return std::move(m_root); }

    bool null() override { return add(nullptr); }
    bool boolean(bool value) override { return add(value); }
    bool number_integer(std::int64_t value) override { return add(value); }
    bool number_unsigned(std::uint64_t value) override { return add(value); }
    bool number_float(double value, const std::string&) override { return add(value); }
    bool string(std::string& value) override { return add(std::move(value)); }
    bool binary(json::binary_t&) override { return false; }  // no JSON text has it

    bool start_object(std::size_t) override { return open(json::object()); }
    bool start_array(std::size_t) override { return open(json::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }
    bool key(std::string& name) override {
        const auto [place, is_new] = m_open.back()->get_ref<json::object_t&>().try_emplace(name);
        if (!is_new) { fail("{}: key '{}' appears twice in one object", m_file, printable(name)); }
        m_member = &place->second;
        return true;
    }

    bool parse_error(std::size_t position, const std::string&, const json::exception& e) override {
        constexpr int out_of_range = 406;  // a number that no double holds
        // The parser counts the byte that it stopped at as read.
        fail_json(m_file, m_text, position == 0 ? 0 : position - 1,
                  e.id == out_of_range ? "number out of range" : "not valid JSON");
    }

private:
    json* place(json&& value) {
        if (++m_values > m_limits.values) {
            fail("{}: expected at most {} JSON values, got more", m_file, m_limits.values);
        }
        if (m_open.empty()) {
            m_root = std::move(value);
            return &m_root;
        }
        if (m_open.back()->is_array()) {
            auto& elements = m_open.back()->get_ref<json::array_t&>();
            elements.push_back(std::move(value));
            return &elements.back();
        }
        *m_member = std::move(value);
        return m_member;
    }
    bool add(json&& value) {
        place(std::move(value));
        return true;
    }
    bool open(json&& container) {
        if (m_open.size() == m_limits.depth) {
            fail("{}: expected JSON nested at most {} deep, got deeper", m_file, m_limits.depth);
        }
        m_open.push_back(place(std::move(container)));
        return true;
    }
    bool close() {
        m_open.pop_back();
        return true;
    }

    std::string_view m_file;
    std::string_view m_text;
    json_limits m_limits;
    json m_root;
    std::vector<json*> m_open;  // a container does not move while it is open
    json* m_member = nullptr;   // of the innermost object: where the next value goes
    std::size_t m_values = 0;
};

}  // namespace detail

/// The value of a JSON text (RFC 8259, UTF-8). Fails, naming `file` and the byte, for anything
/// else; also for a byte order mark, NUL bytes, keys that appear twice, numbers that no double
/// holds, and texts over the limits. Never recurses.
inline json_value parse_json(std::string_view file, std::string_view text,
                             const json_limits& limits = {}) {
    if (text.size() > limits.bytes) {
        fail("{}: expected at most {} bytes of JSON, got {}", file, limits.bytes, text.size());
    }
    // nlohmann's lexer skips a byte order mark, and takes a NUL for the end of the text.
    if (text.starts_with('\xEF')) { detail::fail_json(file, text, 0, "not valid JSON"); }
    if (const auto nul = text.find('\0'); nul != std::string_view::npos) {
        detail::fail_json(file, text, nul, "not valid JSON");
    }
    return guarded(file, [&] {
        detail::json_builder builder(file, text, limits);
        json_value::sax_parse(text.begin(), text.end(), &builder);
        return builder.take();
    });
}

inline json_value parse_json(std::string_view file, std::span<const std::byte> bytes,
                             const json_limits& limits = {}) {
    return parse_json(
        file, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), limits);
}

/// The value in a JSON file.
inline json_value read_json(const std::filesystem::path& path, const json_limits& limits = {}) {
    const mapped_file file(path);
    return parse_json(file.name(), file.bytes(), limits);
}

}  // namespace xlens
