// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/utf8.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace xlens {

/// GPT-2's alphabet: one visible character for each of the 256 bytes, so that a vocabulary of byte
/// strings can be written as text. Visible Latin-1 bytes stand for themselves; the other 68 take
/// the code points from U+0100 up, in byte order (space is U+0120, "Ġ").
struct byte_alphabet {
    std::array<char32_t, 256> character{};
    std::array<std::int16_t, 0x144> byte{};  // by code point; -1: not in the alphabet

    constexpr byte_alphabet() {
        byte.fill(-1);
        char32_t next = 0x100;
        for (std::size_t b = 0; b < 256; ++b) {
            const bool visible = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD);
            character[b] = visible ? static_cast<char32_t>(b) : next++;
            byte[character[b]] = static_cast<std::int16_t>(b);
        }
    }
};

inline constexpr byte_alphabet gpt2_alphabet{};

/// Any bytes, spelt in the alphabet.
inline std::string to_byte_alphabet(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size() + bytes.size() / 4);
    for (const char c : bytes) {
        append_utf8(out, gpt2_alphabet.character[static_cast<unsigned char>(c)]);
    }
    return out;
}

/// The bytes that `text` spells, or nothing where one of its characters is not in the alphabet.
inline std::optional<std::string> from_byte_alphabet(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const utf8_unit unit = read_utf8(text, at);
        const auto code = static_cast<std::size_t>(unit.value);
        if (code >= gpt2_alphabet.byte.size() || gpt2_alphabet.byte[code] < 0) {
            return std::nullopt;
        }
        out += static_cast<char>(gpt2_alphabet.byte[code]);
        at += unit.length;
    }
    return out;
}

}  // namespace xlens
