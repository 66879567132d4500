// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens {

/// Typed reading of a JSON object from outside. The getters fail where a key is missing or has
/// another type, naming the file, the key and what was found. Those with a fallback accept a
/// missing key and null, never a wrong type. Borrows the value.
class json_object {
public:
    /// Fails if `value` is no object. `where` is the key that led to it, empty at the top.
    json_object(std::string file, const nlohmann::json& value, std::string where = {})
        : m_file(std::move(file)), m_where(std::move(where)), m_value(&value) {
        if (!value.is_object()) {
            if (m_where.empty()) {
                fail("{}: expected a JSON object, got {}", m_file, text(value));
            }
            fail("{}: {}: expected an object, got {}", m_file, printable(m_where, 200),
                 text(value));
        }
    }
    json_object(std::string file, nlohmann::json&& value, std::string where = {}) = delete;

    [[nodiscard]] const nlohmann::json& value() const { return *m_value; }
    [[nodiscard]] const std::string& file() const { return m_file; }

    /// Is there such a key, with a value other than null?
    [[nodiscard]] bool has(std::string_view key) const {
        const auto found = m_value->find(key);
        return found != m_value->end() && !found->is_null();
    }

    [[nodiscard]] std::uint64_t unsigned_integer(std::string_view key) const {
        const auto& value = get(key, "an integer of at least 0");
        if (!value.is_number_unsigned()) { wrong(key, "an integer of at least 0", value); }
        return value.get<std::uint64_t>();
    }
    [[nodiscard]] std::uint64_t unsigned_integer(std::string_view key,
                                                 std::uint64_t fallback) const {
        return has(key) ? unsigned_integer(key) : fallback;
    }

    [[nodiscard]] std::vector<std::uint64_t> unsigned_integers(std::string_view key) const {
        constexpr std::string_view expected = "an array of integers of at least 0";
        const auto& value = get(key, expected);
        if (!value.is_array()) { wrong(key, expected, value); }
        std::vector<std::uint64_t> out;
        for (const auto& item : value) {
            if (!item.is_number_unsigned()) { wrong(key, expected, item); }
            out.push_back(item.get<std::uint64_t>());
        }
        return out;
    }

    /// A number, always finite: JSON has no other.
    [[nodiscard]] double number(std::string_view key) const {
        const auto& value = get(key, "a number");
        if (!value.is_number()) { wrong(key, "a number", value); }
        return value.get<double>();
    }
    [[nodiscard]] double number(std::string_view key, double fallback) const {
        return has(key) ? number(key) : fallback;
    }

    [[nodiscard]] std::string string(std::string_view key) const {
        const auto& value = get(key, "a string");
        if (!value.is_string()) { wrong(key, "a string", value); }
        return value.get<std::string>();
    }
    [[nodiscard]] std::string string(std::string_view key, std::string_view fallback) const {
        return has(key) ? string(key) : std::string(fallback);
    }

    [[nodiscard]] bool boolean(std::string_view key) const {
        const auto& value = get(key, "true or false");
        if (!value.is_boolean()) { wrong(key, "true or false", value); }
        return value.get<bool>();
    }
    [[nodiscard]] bool boolean(std::string_view key, bool fallback) const {
        return has(key) ? boolean(key) : fallback;
    }

    [[nodiscard]] json_object object(std::string_view key) const {
        return {m_file, get(key, "an object"), path(key)};
    }

private:
    [[nodiscard]] std::string path(std::string_view key) const {
        return m_where.empty() ? std::string(key) : m_where + "." + std::string(key);
    }
    static std::string text(const nlohmann::json& value) {
        if (value.is_object()) { return "an object"; }
        if (value.is_array()) { return "an array"; }
        if (value.is_string()) {
            return "'" + printable(value.get_ref<const std::string&>()) + "'";
        }
        return value.dump();
    }
    [[noreturn]] void wrong(std::string_view key, std::string_view expected,
                            const nlohmann::json& value) const {
        fail("{}: {}: expected {}, got {}", m_file, printable(path(key), 200), expected,
             text(value));
    }
    const nlohmann::json& get(std::string_view key, std::string_view expected) const {
        const auto found = m_value->find(key);
        if (found == m_value->end()) {
            fail("{}: {}: expected {}, got no such key", m_file, printable(path(key), 200),
                 expected);
        }
        return *found;
    }

    std::string m_file;
    std::string m_where;
    const nlohmann::json* m_value;
};

}  // namespace xlens
