// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace xlens {

/// What stands at one place of a byte string. When `valid`, a code point of `length` bytes; when
/// not, the `length` bytes that one U+FFFD replaces (Unicode chapter 3.9: the maximal subpart).
struct utf8_unit {
    char32_t value = 0xFFFD;
    std::size_t length = 1;
    bool valid = false;
};

/// The unit at byte `at` < text.size(). Strict: overlong forms, surrogates and values above
/// U+10FFFF are invalid (Unicode table 3-7). NUL is a character like any other.
inline utf8_unit read_utf8(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = byte(at);
    if (lead < 0x80) { return {lead, 1, true}; }
    if (lead < 0xC2 || lead > 0xF4) { return {}; }
    const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    char32_t value = lead & (0xFFU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        // Only the second byte has a tighter range, and only after these four leads.
        const unsigned low = i > 1 ? 0x80 : lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        const unsigned high = i > 1 ? 0xBF : lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
        if (at + i >= text.size() || byte(at + i) < low || byte(at + i) > high) {
            return {0xFFFD, i, false};
        }
        value = value << 6U | (byte(at + i) & 0x3FU);
    }
    return {value, length, true};
}

/// Appends the UTF-8 form of a code point, which must be a scalar value (no surrogate).
inline void append_utf8(std::string& out, char32_t value) {
    const auto put = [&](char32_t byte) { out += static_cast<char>(static_cast<unsigned>(byte)); };
    if (value < 0x80) {
        put(value);
    } else if (value < 0x800) {
        put(0xC0 | value >> 6U);
        put(0x80 | (value & 0x3F));
    } else {
        if (value < 0x10000) {
            put(0xE0 | value >> 12U);
        } else {
            put(0xF0 | value >> 18U);
            put(0x80 | (value >> 12U & 0x3F));
        }
        put(0x80 | (value >> 6U & 0x3F));
        put(0x80 | (value & 0x3F));
    }
}

inline bool is_valid_utf8(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const utf8_unit unit = read_utf8(text, at);
        if (!unit.valid) { return false; }
        at += unit.length;
    }
    return true;
}

/// Cuts `text` into its longest stretches of valid and of invalid bytes, in order:
/// visit(stretch, valid). Nothing is lost: the stretches concatenate to the text. O(bytes).
template <class Visit>
void for_each_stretch(std::string_view text, Visit&& visit) {
    std::size_t begin = 0;
    bool valid = true;
    for (std::size_t at = 0; at < text.size();) {
        const utf8_unit unit = read_utf8(text, at);
        if (unit.valid != valid) {
            if (at > begin) { visit(text.substr(begin, at - begin), valid); }
            begin = at;
            valid = unit.valid;
        }
        at += unit.length;
    }
    if (text.size() > begin) { visit(text.substr(begin), valid); }
}

/// Valid UTF-8 for JSON and tables: every maximal broken subpart becomes one U+FFFD.
inline std::string replace_invalid(std::string_view bytes) {
    std::string out;
    for (std::size_t at = 0; at < bytes.size();) {
        const utf8_unit unit = read_utf8(bytes, at);
        append_utf8(out, unit.value);
        at += unit.length;
    }
    return out;
}

}  // namespace xlens
