// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string_view>

namespace xlens {

/// Whether `token` claims to stand for one byte: begins with `<0x` and ends with `>`.
inline bool looks_like_byte_token(std::string_view token) {
    return token.starts_with("<0x") && token.ends_with(">");
}

/// The byte that `<0xHH>` stands for, or nothing: exactly two hexadecimal digits, no sign.
inline std::optional<unsigned char> parse_byte_token(std::string_view token) {
    if (token.size() != 6 || !looks_like_byte_token(token)) { return std::nullopt; }
    unsigned value = 0;
    for (const char c : token.substr(3, 2)) {
        unsigned digit = 0;
        if (c >= '0' && c <= '9') {
            digit = static_cast<unsigned>(c - '0');
        } else if (c >= 'A' && c <= 'F') {
            digit = static_cast<unsigned>(c - 'A') + 10;
        } else if (c >= 'a' && c <= 'f') {
            digit = static_cast<unsigned>(c - 'a') + 10;
        } else {
            return std::nullopt;
        }
        value = value * 16 + digit;
    }
    return static_cast<unsigned char>(value);
}

}  // namespace xlens
