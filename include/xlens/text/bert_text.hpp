// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/old_categories.hpp>
#include <xlens/text/unicode.hpp>
#include <xlens/text/utf8.hpp>

#include <string>
#include <string_view>

namespace xlens::detail {

/// What BERT takes for Chinese: it stands alone as a word. The gap from 2B820 to 2B91F is that of
/// Hugging Face's tokenizers and of llama.cpp.
inline bool is_bert_chinese(char32_t c) {
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
           (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
           (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

/// BERT's cleaning of text: no control characters, every white space a plain space.
inline std::string clean_bert_text(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const utf8_unit unit = read_utf8(text, at);
        const char32_t c = unit.value;
        if (c == '\t' || c == '\n' || c == '\r' || is_white_space(c)) {
            if (c == '\t' || c == '\n' || c == '\r' || !is_old_control(c)) { out += ' '; }
        } else if (c != 0 && c != 0xFFFD && !is_old_control(c)) {
            append_utf8(out, c);
        }
        at += unit.length;
    }
    return out;
}

/// Spaces around every Chinese character.
inline std::string space_bert_chinese(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const utf8_unit unit = read_utf8(text, at);
        const bool alone = is_bert_chinese(unit.value);
        if (alone) { out += ' '; }
        append_utf8(out, unit.value);
        if (alone) { out += ' '; }
        at += unit.length;
    }
    return out;
}

/// Without the characters of one category, or of all marks.
inline std::string without_marks(std::string_view text, bool only_nonspacing) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const utf8_unit unit = read_utf8(text, at);
        const bool mark = only_nonspacing ? is_old_nonspacing(unit.value) : is_old_mark(unit.value);
        if (!mark) { append_utf8(out, unit.value); }
        at += unit.length;
    }
    return out;
}

}  // namespace xlens::detail
