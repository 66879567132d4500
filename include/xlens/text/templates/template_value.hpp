// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace xlens::detail {

[[noreturn]] inline void fail_template(std::string_view what) {
    constexpr std::size_t shown = 400;
    fail("chat template: {}", printable(what, shown));
}

class template_value;
class template_object;

/// A str of Python. `markup`: marked by `safe` or `escape` as HTML already.
struct template_text {
    std::string bytes;  // valid UTF-8
    bool markup = false;
};

/// What a row of values is in Python; they differ in what can be done with them.
enum class list_form : unsigned char {
    list,
    tuple,
    group,  // a pair that groupby makes: a tuple with the names grouper and list
    range,
    keys,  // of a dict, as are the next two
    values,
    items,
    generator,  // read once
};

struct template_list;
struct template_mapping;

/// A value of a template, as Python has it: immutable but for what a template_object holds.
class template_value {
public:
    template_value() = default;  // undefined
    // NOLINTBEGIN(google-explicit-constructor): it is one of them.
    template_value(std::nullptr_t) : m_data(nullptr) {}
    template <std::same_as<bool> Truth>
    template_value(Truth truth) : m_data(truth) {}
    template <std::integral Integer>
        requires(!std::same_as<Integer, bool>)
    template_value(Integer number) : m_data(static_cast<std::int64_t>(number)) {}
    template_value(double number) : m_data(number) {}
    template_value(std::string bytes, bool markup = false)
        : m_data(std::make_shared<const template_text>(template_text{std::move(bytes), markup})) {}
    template_value(std::string_view bytes) : template_value(std::string(bytes)) {}
    template_value(const char* bytes) : template_value(std::string(bytes)) {}
    template_value(std::vector<template_value> items, list_form form = list_form::list);
    template_value(template_mapping entries);
    template_value(std::shared_ptr<template_object> object) : m_data(std::move(object)) {}
    // NOLINTEND(google-explicit-constructor)

    /// An undefined value, with what is said where it is used: "'x' is undefined".
    static template_value undefined(std::string why) {
        template_value out;
        out.m_data = std::make_shared<const std::string>(std::move(why));
        return out;
    }

    [[nodiscard]] bool is_undefined() const { return m_data.index() == 0; }
    [[nodiscard]] bool is_none() const { return holds<std::nullptr_t>(); }
    [[nodiscard]] bool is_boolean() const { return holds<bool>(); }
    /// An int that is no bool.
    [[nodiscard]] bool is_integer() const { return holds<std::int64_t>(); }
    [[nodiscard]] bool is_real() const { return holds<double>(); }
    [[nodiscard]] bool is_whole() const { return is_integer() || is_boolean(); }
    [[nodiscard]] bool is_number() const { return is_whole() || is_real(); }
    [[nodiscard]] bool is_text() const { return holds<text_pointer>(); }
    [[nodiscard]] bool is_markup() const { return is_text() && get<text_pointer>()->markup; }
    [[nodiscard]] bool is_row() const { return holds<list_pointer>(); }
    [[nodiscard]] bool is_row(list_form form) const;
    /// A list or a tuple: what can be indexed and sliced.
    [[nodiscard]] bool is_sequence() const;
    [[nodiscard]] bool is_mapping() const { return holds<mapping_pointer>(); }
    [[nodiscard]] bool is_object() const { return holds<object_pointer>(); }

    [[nodiscard]] std::int64_t whole() const {
        return is_boolean() ? static_cast<std::int64_t>(get<bool>()) : get<std::int64_t>();
    }
    [[nodiscard]] double number() const {
        return is_real() ? get<double>() : static_cast<double>(whole());
    }
    [[nodiscard]] bool boolean() const { return get<bool>(); }
    [[nodiscard]] const std::string& text() const { return get<text_pointer>()->bytes; }
    [[nodiscard]] const template_list& row() const { return *get<list_pointer>(); }
    [[nodiscard]] const template_mapping& mapping() const { return *get<mapping_pointer>(); }
    [[nodiscard]] const std::shared_ptr<template_object>& object() const {
        return get<object_pointer>();
    }

    /// Fails with why it is undefined.
    [[noreturn]] void fail_undefined() const {
        const auto& why = get<why_pointer>();
        fail_template(why ? *why : "a value is undefined");
    }

    /// How deep lists and dicts are nested in it.
    [[nodiscard]] std::size_t depth() const;
    /// Is it, or does it hold, an object?
    [[nodiscard]] bool has_objects() const;

    /// One and the same, as `is` means it.
    [[nodiscard]] bool same_as(const template_value& other) const { return m_data == other.m_data; }

private:
    using why_pointer = std::shared_ptr<const std::string>;
    using text_pointer = std::shared_ptr<const template_text>;
    using list_pointer = std::shared_ptr<const template_list>;
    using mapping_pointer = std::shared_ptr<const template_mapping>;
    using object_pointer = std::shared_ptr<template_object>;

    template <class T>
    [[nodiscard]] bool holds() const {
        return std::holds_alternative<T>(m_data);
    }
    template <class T>
    [[nodiscard]] const T& get() const {
        return *std::get_if<T>(&m_data);
    }

    std::variant<why_pointer, std::nullptr_t, bool, std::int64_t, double, text_pointer,
                 list_pointer, mapping_pointer, object_pointer>
        m_data;
};

using template_values = std::vector<template_value>;

/// What lists and dicts have in common: they know how deep they go, so that no walk of them ends
/// the stack.
struct template_nest {
    static constexpr std::size_t most_depth = 100;
    std::size_t depth = 1;
    bool has_objects = false;

    void take(const template_value& v) {
        depth = std::max(depth, v.depth() + 1);
        has_objects = has_objects || v.has_objects();
        if (depth > most_depth) {
            fail_template("values nested deeper than 100 are not supported");
        }
    }
};

struct template_list : template_nest {
    template_values items;
    list_form form = list_form::list;
    mutable std::size_t read = 0;  // of a generator
};

/// A dict: in the order in which keys came.
struct template_mapping : template_nest {
    std::vector<std::pair<template_value, template_value>> entries;
};

inline template_value::template_value(std::vector<template_value> items, list_form form) {
    auto made = std::make_shared<template_list>();
    for (const template_value& item : items) { made->take(item); }
    made->items = std::move(items);
    made->form = form;
    m_data = list_pointer(std::move(made));
}

inline template_value::template_value(template_mapping entries) {
    for (const auto& [key, value] : entries.entries) {
        entries.take(key);
        entries.take(value);
    }
    m_data = mapping_pointer(std::make_shared<const template_mapping>(std::move(entries)));
}

inline bool template_value::is_row(list_form form) const { return is_row() && row().form == form; }

inline bool template_value::is_sequence() const {
    return is_row(list_form::list) || is_row(list_form::tuple) || is_row(list_form::group);
}

inline std::size_t template_value::depth() const {
    return is_row() ? row().depth : is_mapping() ? mapping().depth : 0;
}

inline bool template_value::has_objects() const {
    return is_row() ? row().has_objects : is_mapping() ? mapping().has_objects : is_object();
}

}  // namespace xlens::detail
