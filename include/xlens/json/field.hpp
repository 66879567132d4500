// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/json/value.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(json)
#include <xlens/core/error.hpp>

#include <fmt/format.h>
#endif

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
    [[nodiscard]] std::optional<json_field> find(std::string_view key) const;
    [[nodiscard]] json_field at(std::string_view key) const;

    [[nodiscard]] std::string string() const;
    [[nodiscard]] bool boolean() const;
    [[nodiscard]] double number() const;
    /// The value as JSON: of an object or a list, its kind.
    [[nodiscard]] std::string text() const { return m_value->text(); }
    /// The member `key` as a flag; `otherwise` where it is absent.
    [[nodiscard]] bool flag(std::string_view key, bool otherwise) const;
    /// A token id, 0 to 2^31 - 1.
    [[nodiscard]] std::int32_t id() const;
    [[nodiscard]] std::vector<json_field> items() const;

    /// Throws "<place>: expected <what>, got <value>" unless `good`.
    void expect(bool good, std::string_view what) const;

protected:
    /// Where the member `key` stands, whose name is cut after so many bytes.
    [[nodiscard]] std::string place_of(std::string_view key, std::size_t limit = 80) const;

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
    json_object(std::string file, const json_value& value, const std::string& where = {});
    json_object(std::string file, json_value&& value, const std::string& where = {}) = delete;

    [[nodiscard]] const std::string& file() const { return m_file; }
    [[nodiscard]] const std::string& name() const { return m_file; }

    // A whole object is no string, number or truth value: the getters of the same names take a key.

    /// Is there such a key, with a value other than null?
    [[nodiscard]] bool has(std::string_view key) const;

    [[nodiscard]] std::uint64_t unsigned_integer(std::string_view key) const;
    [[nodiscard]] std::uint64_t unsigned_integer(std::string_view key,
                                                 std::uint64_t fallback) const;

    [[nodiscard]] std::vector<std::uint64_t> unsigned_integers(std::string_view key) const;

    /// A number, always finite: JSON has no other.
    [[nodiscard]] double number(std::string_view key) const;
    [[nodiscard]] double number(std::string_view key, double fallback) const;

    [[nodiscard]] std::string string(std::string_view key) const;
    [[nodiscard]] std::string string(std::string_view key, std::string_view fallback) const;

    [[nodiscard]] bool boolean(std::string_view key) const;
    [[nodiscard]] bool boolean(std::string_view key, bool fallback) const;

    [[nodiscard]] json_object object(std::string_view key) const;

private:
    static std::string text(const json_value& value);
    [[noreturn]] void wrong(std::string_view key, std::string_view expected,
                            const json_value& found) const;
    [[nodiscard]] const json_value& get(std::string_view key, std::string_view expected) const;

    std::string m_file;
    std::string m_where;
};

#if XLENS_DEFINES(json)

XLENS_API std::optional<json_field> json_field::find(std::string_view key) const {
    expect(m_value->is_object(), "an object");
    const json_value* found = m_value->find(key);
    if (found == nullptr || found->is_null()) { return std::nullopt; }
    return json_field(*found, place_of(key));
}

XLENS_API json_field json_field::at(std::string_view key) const {
    const auto found = find(key);
    if (!found) { fail("{} is missing", place_of(key)); }
    return *found;
}

XLENS_API std::string json_field::string() const {
    expect(m_value->is_string(), "a string");
    return m_value->string();
}

XLENS_API bool json_field::boolean() const {
    expect(m_value->is_boolean(), "true or false");
    return m_value->boolean();
}

XLENS_API double json_field::number() const {
    expect(m_value->is_number(), "a number");
    return m_value->number();
}

XLENS_API bool json_field::flag(std::string_view key, bool otherwise) const {
    const auto found = find(key);
    return found ? found->boolean() : otherwise;
}

XLENS_API std::int32_t json_field::id() const {
    // -0 is 0.
    expect(m_value->is_integer() && m_value->number() >= 0 && m_value->number() <= INT32_MAX,
           "an id from 0 to 2147483647");
    return static_cast<std::int32_t>(m_value->number());
}

XLENS_API std::vector<json_field> json_field::items() const {
    expect(m_value->is_list(), "a list");
    std::vector<json_field> out;
    for (const json_value& item : m_value->list()) {
        out.emplace_back(item, fmt::format("{}[{}]", m_place, out.size()));
    }
    return out;
}

XLENS_API void json_field::expect(bool good, std::string_view what) const {
    if (good) { return; }
    fail("{}: expected {}, got {}", m_place, what, printable(m_value->text()));
}

XLENS_API std::string json_field::place_of(std::string_view key, std::size_t limit) const {
    return fmt::format("{}{}{}", m_place, m_joint, printable(key, limit));
}

XLENS_API json_object::json_object(std::string file, const json_value& value,
                                   const std::string& where)
    : json_field(value, where.empty() ? file : fmt::format("{}: {}", file, printable(where, 200)),
                 where.empty() ? ": " : "."),
      m_file(std::move(file)),
      m_where(where) {
    if (!value.is_object()) {
        fail("{}: expected {}, got {}", place(), where.empty() ? "a JSON object" : "an object",
             text(value));
    }
}

XLENS_API bool json_object::has(std::string_view key) const {
    const json_value* found = value().find(key);
    return found != nullptr && !found->is_null();
}

XLENS_API std::uint64_t json_object::unsigned_integer(std::string_view key) const {
    const auto& found = get(key, "an integer of at least 0");
    if (!found.is_unsigned()) { wrong(key, "an integer of at least 0", found); }
    return found.unsigned_integer();
}

XLENS_API std::uint64_t json_object::unsigned_integer(std::string_view key,
                                                      std::uint64_t fallback) const {
    return has(key) ? unsigned_integer(key) : fallback;
}

XLENS_API std::vector<std::uint64_t> json_object::unsigned_integers(std::string_view key) const {
    constexpr std::string_view expected = "an array of integers of at least 0";
    const auto& found = get(key, expected);
    if (!found.is_list()) { wrong(key, expected, found); }
    std::vector<std::uint64_t> out;
    for (const json_value& item : found.list()) {
        if (!item.is_unsigned()) { wrong(key, expected, item); }
        out.push_back(item.unsigned_integer());
    }
    return out;
}

XLENS_API double json_object::number(std::string_view key) const {
    const auto& found = get(key, "a number");
    if (!found.is_number()) { wrong(key, "a number", found); }
    return found.number();
}

XLENS_API double json_object::number(std::string_view key, double fallback) const {
    return has(key) ? number(key) : fallback;
}

XLENS_API std::string json_object::string(std::string_view key) const {
    const auto& found = get(key, "a string");
    if (!found.is_string()) { wrong(key, "a string", found); }
    return found.string();
}

XLENS_API std::string json_object::string(std::string_view key, std::string_view fallback) const {
    return has(key) ? string(key) : std::string(fallback);
}

XLENS_API bool json_object::boolean(std::string_view key) const {
    const auto& found = get(key, "true or false");
    if (!found.is_boolean()) { wrong(key, "true or false", found); }
    return found.boolean();
}

XLENS_API bool json_object::boolean(std::string_view key, bool fallback) const {
    return has(key) ? boolean(key) : fallback;
}

XLENS_API json_object json_object::object(std::string_view key) const {
    return {m_file, get(key, "an object"),
            m_where.empty() ? std::string(key) : fmt::format("{}.{}", m_where, key)};
}

XLENS_API std::string json_object::text(const json_value& value) {
    if (value.is_object()) { return "an object"; }
    if (value.is_list()) { return "an array"; }
    if (value.is_string()) { return "'" + printable(value.string()) + "'"; }
    return value.text();
}

XLENS_API void json_object::wrong(std::string_view key, std::string_view expected,
                                  const json_value& found) const {
    fail("{}: expected {}, got {}", place_of(key, 200), expected, text(found));
}

XLENS_API const json_value& json_object::get(std::string_view key,
                                             std::string_view expected) const {
    const json_value* found = value().find(key);
    if (found == nullptr) {
        fail("{}: expected {}, got no such key", place_of(key, 200), expected);
    }
    return *found;
}

#endif

}  // namespace xlens
