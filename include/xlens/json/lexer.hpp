// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The one place that includes nlohmann's JSON, and of it only the lexer and the spelling of
// numbers: its parser brings the readers of five binary formats along, and a type of values.

#if __has_include(<nlohmann/detail/input/lexer.hpp>)
#include <nlohmann/detail/conversions/to_chars.hpp>
#include <nlohmann/detail/input/lexer.hpp>
#else  // installed as one file
#include <nlohmann/json.hpp>
#endif

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

namespace xlens::detail {

/// The types that nlohmann's lexer gives numbers and strings.
struct json_lexer_types {
    using number_integer_t = std::int64_t;
    using number_unsigned_t = std::uint64_t;
    using number_float_t = double;
    using string_t = std::string;
};

/// A text, a byte at a time, for nlohmann's lexer.
class json_lexer_input {
public:
    using char_type = char;
    using traits = std::char_traits<char>;

    explicit json_lexer_input(std::string_view text) : m_rest(text) {}
    traits::int_type get_character() {
        if (m_rest.empty()) { return traits::eof(); }
        const char byte = m_rest.front();
        m_rest.remove_prefix(1);
        return traits::to_int_type(byte);
    }

private:
    std::string_view m_rest;
};

using json_lexer = nlohmann::detail::lexer<json_lexer_types, json_lexer_input>;
using json_token = json_lexer::token_type;

/// A number as nlohmann spells it: 1.0, not 1; null for what JSON has no number for.
inline std::string spelt_number(double number) {
    if (!std::isfinite(number)) { return "null"; }
    char digits[64];
    return {digits, nlohmann::detail::to_chars(digits, digits + sizeof digits, number)};
}

}  // namespace xlens::detail
