// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(json)
#include <xlens/core/error.hpp>
#include <xlens/json/lexer.hpp>
#include <xlens/json/writer.hpp>
#endif

namespace xlens {

class json_value;
using json_list = std::vector<json_value>;
/// The members of an object by key; none stands twice.
using json_members = std::map<std::string, json_value, std::less<>>;

/// A JSON value: null, a truth value, a number, a string, a list or an object. 16 bytes, with what
/// does not fit behind a pointer. Moved, never copied. nlohmann's own type, with all that it
/// offers, is a tenth of the compile time of a program that reads a model.
class json_value {
public:
    enum class kind : std::uint8_t {
        null,
        boolean,
        integer,           ///< below 0, or written as -0
        unsigned_integer,  ///< 0 to 2^64 - 1
        real,              ///< every other number
        string,
        list,
        object,
    };

    json_value() = default;  // null
    explicit json_value(bool truth) : m_kind(kind::boolean) { m_data.truth = truth; }
    explicit json_value(std::int64_t number) : m_kind(kind::integer) { m_data.integer = number; }
    explicit json_value(std::uint64_t number) : m_kind(kind::unsigned_integer) {
        m_data.unsigned_integer = number;
    }
    explicit json_value(double number) : m_kind(kind::real) { m_data.real = number; }
    explicit json_value(std::string text) : m_kind(kind::string) {
        m_data.string = new std::string(std::move(text));
    }
    explicit json_value(json_list items) : m_kind(kind::list) {
        m_data.list = new json_list(std::move(items));
    }
    explicit json_value(json_members members) : m_kind(kind::object) {
        m_data.object = new json_members(std::move(members));
    }
    json_value(json_value&& other) noexcept
        : m_kind(std::exchange(other.m_kind, kind::null)), m_data(other.m_data) {}
    json_value& operator=(json_value&& other) noexcept {
        std::swap(m_kind, other.m_kind);
        std::swap(m_data, other.m_data);
        return *this;
    }
    ~json_value() {
        if (m_kind >= kind::string) { release(); }
    }

    [[nodiscard]] bool is_null() const { return m_kind == kind::null; }
    [[nodiscard]] bool is_boolean() const { return m_kind == kind::boolean; }
    [[nodiscard]] bool is_number() const { return is_integer() || m_kind == kind::real; }
    [[nodiscard]] bool is_integer() const { return m_kind == kind::integer || is_unsigned(); }
    [[nodiscard]] bool is_unsigned() const { return m_kind == kind::unsigned_integer; }
    [[nodiscard]] bool is_string() const { return m_kind == kind::string; }
    [[nodiscard]] bool is_list() const { return m_kind == kind::list; }
    [[nodiscard]] bool is_object() const { return m_kind == kind::object; }
    /// "null", "boolean", "number", "string", "array" or "object".
    [[nodiscard]] std::string_view type_name() const;

    // What it holds. Throws xlens::error for a value of another kind.

    [[nodiscard]] bool boolean() const { return of(kind::boolean).truth; }
    /// Below 0, or -0.
    [[nodiscard]] std::int64_t integer() const { return of(kind::integer).integer; }
    [[nodiscard]] std::uint64_t unsigned_integer() const {
        return of(kind::unsigned_integer).unsigned_integer;
    }
    /// A number of any kind.
    [[nodiscard]] double number() const;
    [[nodiscard]] const std::string& string() const { return *of(kind::string).string; }
    [[nodiscard]] const json_list& list() const { return *of(kind::list).list; }
    [[nodiscard]] json_list& list() { return *of(kind::list).list; }
    [[nodiscard]] const json_members& object() const { return *of(kind::object).object; }
    [[nodiscard]] json_members& object() { return *of(kind::object).object; }

    /// The member of an object, or null where it has none of this key.
    [[nodiscard]] const json_value* find(std::string_view key) const {
        const auto found = object().find(key);
        return found == object().end() ? nullptr : &found->second;
    }
    /// As JSON writes it; of a list or an object, which may be the whole file, only "array" or
    /// "object".
    [[nodiscard]] std::string text() const;

private:
    union data {
        bool truth;
        std::int64_t integer;
        std::uint64_t unsigned_integer;
        double real;
        std::string* string;
        json_list* list;
        json_members* object;
    };

    [[nodiscard]] const data& of(kind expected) const {
        if (m_kind != expected) { wrong_kind(); }
        return m_data;
    }
    [[noreturn]] void wrong_kind() const;
    void release();

    kind m_kind = kind::null;
    data m_data{};
};

#if XLENS_DEFINES(json)
XLENS_API void json_value::release() {
    if (m_kind == kind::string) { delete m_data.string; }
    if (m_kind == kind::list) { delete m_data.list; }
    if (m_kind == kind::object) { delete m_data.object; }
}

XLENS_API void json_value::wrong_kind() const {
    fail("JSON: a value of another kind was asked for, got {}", printable(text()));
}

XLENS_API std::string_view json_value::type_name() const {
    switch (m_kind) {
        case kind::null: return "null";
        case kind::boolean: return "boolean";
        case kind::string: return "string";
        case kind::list: return "array";
        case kind::object: return "object";
        default: return "number";
    }
}

XLENS_API double json_value::number() const {
    if (m_kind == kind::integer) { return static_cast<double>(m_data.integer); }
    if (is_unsigned()) { return static_cast<double>(m_data.unsigned_integer); }
    return of(kind::real).real;
}

XLENS_API std::string json_value::text() const {
    if (m_kind == kind::boolean) { return m_data.truth ? "true" : "false"; }
    if (m_kind == kind::integer) { return std::to_string(m_data.integer); }
    if (is_unsigned()) { return std::to_string(m_data.unsigned_integer); }
    if (m_kind == kind::real) { return detail::spelt_number(m_data.real); }
    if (!is_string()) { return std::string(type_name()); }
    std::string out;
    append_json_string(out, *m_data.string, json_escapes::letters);
    return out;
}
#endif

}  // namespace xlens
