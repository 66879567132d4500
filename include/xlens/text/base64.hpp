// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace xlens {

namespace detail {
inline constexpr std::string_view base64_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

/// Bytes in base64 (RFC 4648), without padding.
inline std::string to_base64(std::span<const std::uint8_t> bytes) {
    std::string out;
    out.reserve((bytes.size() * 4 + 2) / 3);
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (const std::uint8_t byte : bytes) {
        bits = bits << 8U | byte;
        count += 8;
        for (; count >= 6; count -= 6) {
            out += detail::base64_alphabet[bits >> (count - 6) & 0x3FU];
        }
    }
    if (count > 0) { out += detail::base64_alphabet[bits << (6 - count) & 0x3FU]; }
    return out;
}

/// The bytes that `text` spells in base64 (RFC 4648, with padding or without), or nothing.
inline std::optional<std::string> from_base64(std::string_view text) {
    while (text.ends_with('=')) { text.remove_suffix(1); }
    if (text.size() % 4 == 1) { return std::nullopt; }
    std::string out;
    out.reserve(text.size() / 4 * 3 + 3);
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (const char c : text) {
        const std::size_t value = detail::base64_alphabet.find(c);
        if (value == std::string_view::npos) { return std::nullopt; }
        bits = bits << 6U | static_cast<std::uint32_t>(value);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out += static_cast<char>(static_cast<unsigned char>(bits >> count & 0xFFU));
        }
    }
    return out;
}

}  // namespace xlens
