// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/json/value.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens {

/// A value of a JSON file together with its place ("tokenizer.json: model.vocab"), so that every
/// mistake is reported where it stands. Borrows the document.
class json_field {
public:
    /// `joint` stands between the place and a member's key; a document's root, whose place is the
    /// file's name, has ": ".
    json_field(const json_value& value, std::string place, std::string_view joint = ".")
        : m_value(&value), m_place(std::move(place)), m_joint(joint) {}

    [[nodiscard]] const json_value& value() const { return *m_value; }
    [[nodiscard]] const std::string& place() const { return m_place; }

    /// The member `key`, or nothing where it is absent or null. Throws where this is no object.
    [[nodiscard]] std::optional<json_field> find(std::string_view key) const {
        expect(m_value->is_object(), "an object");
        const auto it = m_value->find(std::string(key));
        if (it == m_value->end() || it->is_null()) { return std::nullopt; }
        return json_field(*it, place_of(key));
    }
    [[nodiscard]] json_field at(std::string_view key) const {
        const auto found = find(key);
        if (!found) { fail("{} is missing", place_of(key)); }
        return *found;
    }

    [[nodiscard]] std::string string() const {
        expect(m_value->is_string(), "a string");
        return m_value->get<std::string>();
    }
    [[nodiscard]] bool boolean() const {
        expect(m_value->is_boolean(), "true or false");
        return m_value->get<bool>();
    }
    [[nodiscard]] double number() const {
        expect(m_value->is_number(), "a number");
        return m_value->get<double>();
    }
    /// The value as JSON: of an object or a list, its kind.
    [[nodiscard]] std::string text() const {
        return m_value->is_structured() ? std::string(m_value->type_name()) : m_value->dump();
    }
    /// The member `key` as a flag; `otherwise` where it is absent.
    [[nodiscard]] bool flag(std::string_view key, bool otherwise) const {
        const auto found = find(key);
        return found ? found->boolean() : otherwise;
    }
    /// A token id, 0 to 2^31 - 1.
    [[nodiscard]] std::int32_t id() const {
        expect(m_value->is_number_integer(), "an id from 0 to 2147483647");
        // Read as unsigned only where it is: a negative number would wrap.
        const bool fits = m_value->is_number_unsigned() ? m_value->get<std::uint64_t>() <= INT32_MAX
                                                        : m_value->get<std::int64_t>() >= 0;
        expect(fits, "an id from 0 to 2147483647");
        return m_value->get<std::int32_t>();
    }
    [[nodiscard]] std::vector<json_field> items() const {
        expect(m_value->is_array(), "a list");
        std::vector<json_field> out;
        for (std::size_t i = 0; i < m_value->size(); ++i) {
            out.emplace_back((*m_value)[i], fmt::format("{}[{}]", m_place, i));
        }
        return out;
    }

    /// Throws "<place>: expected <what>, got <value>" unless `good`.
    void expect(bool good, std::string_view what) const {
        if (good) { return; }
        // An object or list may be the whole file: name it instead of printing it.
        fail("{}: expected {}, got {}", m_place, what, printable(text()));
    }

protected:
    /// Where the member `key` stands, whose name is cut after so many bytes.
    [[nodiscard]] std::string place_of(std::string_view key, std::size_t limit = 80) const {
        return fmt::format("{}{}{}", m_place, m_joint, printable(key, limit));
    }

private:
    const json_value* m_value;
    std::string m_place;
    std::string_view m_joint;
};

/// Typed reading of a JSON object from outside. The getters fail where a key is missing or has
/// another type, naming the file, the key and what was found. Those with a fallback accept a
/// missing key and null, never a wrong type. Borrows the value.
class json_object : public json_field {
public:
    /// Fails if `value` is no object. `where` is the key that led to it, empty at the top.
    json_object(std::string file, const json_value& value, const std::string& where = {})
        : json_field(value,
                     where.empty() ? file : fmt::format("{}: {}", file, printable(where, 200)),
                     where.empty() ? ": " : "."),
          m_file(std::move(file)),
          m_where(where) {
        if (!value.is_object()) {
            fail("{}: expected {}, got {}", place(), where.empty() ? "a JSON object" : "an object",
                 text(value));
        }
    }
    json_object(std::string file, json_value&& value, const std::string& where = {}) = delete;

    [[nodiscard]] const std::string& file() const { return m_file; }
    [[nodiscard]] const std::string& name() const { return m_file; }

    // A whole object is no string, number or truth value: the getters of the same names take a key.

    /// Is there such a key, with a value other than null?
    [[nodiscard]] bool has(std::string_view key) const {
        const auto found = value().find(key);
        return found != value().end() && !found->is_null();
    }

    [[nodiscard]] std::uint64_t unsigned_integer(std::string_view key) const {
        const auto& found = get(key, "an integer of at least 0");
        if (!found.is_number_unsigned()) { wrong(key, "an integer of at least 0", found); }
        return found.get<std::uint64_t>();
    }
    [[nodiscard]] std::uint64_t unsigned_integer(std::string_view key,
                                                 std::uint64_t fallback) const {
        return has(key) ? unsigned_integer(key) : fallback;
    }

    [[nodiscard]] std::vector<std::uint64_t> unsigned_integers(std::string_view key) const {
        constexpr std::string_view expected = "an array of integers of at least 0";
        const auto& found = get(key, expected);
        if (!found.is_array()) { wrong(key, expected, found); }
        std::vector<std::uint64_t> out;
        for (const auto& item : found) {
            if (!item.is_number_unsigned()) { wrong(key, expected, item); }
            out.push_back(item.get<std::uint64_t>());
        }
        return out;
    }

    /// A number, always finite: JSON has no other.
    [[nodiscard]] double number(std::string_view key) const {
        const auto& found = get(key, "a number");
        if (!found.is_number()) { wrong(key, "a number", found); }
        return found.get<double>();
    }
    [[nodiscard]] double number(std::string_view key, double fallback) const {
        return has(key) ? number(key) : fallback;
    }

    [[nodiscard]] std::string string(std::string_view key) const {
        const auto& found = get(key, "a string");
        if (!found.is_string()) { wrong(key, "a string", found); }
        return found.get<std::string>();
    }
    [[nodiscard]] std::string string(std::string_view key, std::string_view fallback) const {
        return has(key) ? string(key) : std::string(fallback);
    }

    [[nodiscard]] bool boolean(std::string_view key) const {
        const auto& found = get(key, "true or false");
        if (!found.is_boolean()) { wrong(key, "true or false", found); }
        return found.get<bool>();
    }
    [[nodiscard]] bool boolean(std::string_view key, bool fallback) const {
        return has(key) ? boolean(key) : fallback;
    }

    [[nodiscard]] json_object object(std::string_view key) const {
        return {m_file, get(key, "an object"),
                m_where.empty() ? std::string(key) : fmt::format("{}.{}", m_where, key)};
    }

private:
    static std::string text(const json_value& value) {
        if (value.is_object()) { return "an object"; }
        if (value.is_array()) { return "an array"; }
        if (value.is_string()) {
            return "'" + printable(value.get_ref<const std::string&>()) + "'";
        }
        return value.dump();
    }
    [[noreturn]] void wrong(std::string_view key, std::string_view expected,
                            const json_value& found) const {
        fail("{}: expected {}, got {}", place_of(key, 200), expected, text(found));
    }
    [[nodiscard]] const json_value& get(std::string_view key, std::string_view expected) const {
        const auto found = value().find(key);
        if (found == value().end()) {
            fail("{}: expected {}, got no such key", place_of(key, 200), expected);
        }
        return *found;
    }

    std::string m_file;
    std::string m_where;
};

}  // namespace xlens
