// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/templates/template_value.hpp>

#include <string>
#include <string_view>

// Which names are methods of what in Python.

namespace xlens::detail {

enum class method_kind : unsigned char {
    none,     // no such method in Python
    known,    // call_method has it
    changes,  // it would change its object, which the sandbox does not allow
    refused,  // Python has it, we do not
};

/// Names between spaces.
inline bool is_named_in(std::string_view names, std::string_view name) {
    const std::string spaced = " " + std::string(name) + " ";
    return !name.empty() && (" " + std::string(names) + " ").find(spaced) != std::string::npos;
}

inline constexpr std::string_view string_methods =
    "capitalize center count endswith find format index isalnum isalpha isdecimal isdigit islower "
    "isnumeric isspace isupper join ljust lower lstrip partition removeprefix removesuffix replace "
    "rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title "
    "upper zfill";
inline constexpr std::string_view refused_string_methods =
    "casefold encode expandtabs format_map isascii isidentifier isprintable istitle maketrans "
    "translate";
inline constexpr std::string_view refused_other_methods =
    "fromkeys as_integer_ratio bit_count bit_length conjugate denominator from_bytes imag "
    "numerator real to_bytes fromhex hex is_integer isdisjoint mapping close send throw start stop "
    "step";

/// What `name` is among the attributes of a value in Python.
inline method_kind method_state(const template_value& v, std::string_view name) {
    const auto among = [&](std::string_view known, std::string_view changing,
                           std::string_view refused) {
        return is_named_in(known, name)      ? method_kind::known
               : is_named_in(changing, name) ? method_kind::changes
               : is_named_in(refused, name)  ? method_kind::refused
                                             : method_kind::none;
    };
    if (v.is_text()) { return among(string_methods, "", refused_string_methods); }
    if (v.is_mapping()) {
        return among("copy get items keys values", "clear pop popitem setdefault update",
                     "fromkeys");
    }
    if (v.is_real()) {
        return among("", "", "as_integer_ratio conjugate fromhex hex imag is_integer real");
    }
    if (v.is_number()) {
        return among("", "",
                     "as_integer_ratio bit_count bit_length conjugate denominator from_bytes imag "
                     "numerator real to_bytes");
    }
    if (!v.is_row()) { return method_kind::none; }
    switch (v.row().form) {
        case list_form::list:
            return among("copy count index", "append clear extend insert pop remove reverse sort",
                         "");
        case list_form::tuple:
        case list_form::group: return among("count index", "", "");
        case list_form::range: return among("", "", "count index start stop step");
        case list_form::generator: return among("", "", "close send throw");
        default: return among("", "", "isdisjoint mapping");
    }
}

/// Is it a method of some type of Python that is not supported? A call of it is refused when the
/// template is read.
inline bool is_refused_method(std::string_view name) {
    return is_named_in(refused_string_methods, name) || is_named_in(refused_other_methods, name);
}

}  // namespace xlens::detail
