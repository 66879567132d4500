// SPDX-License-Identifier: BSD-3-Clause
#include "cells.hpp"

#include <xlens/core/error.hpp>
#include <xlens/text/utf8.hpp>

#include <fmt/format.h>
#include <utf8proc.h>

namespace xlens::program {

namespace {

std::size_t columns_of(char32_t value) {
    const int width = utf8proc_charwidth(static_cast<utf8proc_int32_t>(value));
    return width > 0 ? static_cast<std::size_t>(width) : 0;
}

bool has_no_shape(char32_t value) {
    switch (utf8proc_category(static_cast<utf8proc_int32_t>(value))) {
        case UTF8PROC_CATEGORY_CC:
        case UTF8PROC_CATEGORY_CF:
        case UTF8PROC_CATEGORY_CS:
        case UTF8PROC_CATEGORY_CO:
        case UTF8PROC_CATEGORY_CN:
        case UTF8PROC_CATEGORY_ZS:
        case UTF8PROC_CATEGORY_ZL:
        case UTF8PROC_CATEGORY_ZP: return true;
        default: return false;
    }
}

void append_visible(std::string& out, char32_t value) {
    constexpr char32_t control_pictures = 0x2400;
    switch (value) {
        case U' ': out += "␣"; return;
        case U'\n': out += "⏎"; return;
        case U'\t': out += "⇥"; return;
        case 0x7f: out += "␡"; return;
        default: break;
    }
    if (value < 0x20) {
        append_utf8(out, control_pictures + value);
    } else if (has_no_shape(value)) {
        out += fmt::format("<{:04X}>", static_cast<unsigned>(value));
    } else {
        // A combining mark needs something to stand on.
        if (columns_of(value) == 0 && out.empty()) { out += "◌"; }
        append_utf8(out, value);
    }
}

template <class Visit>
void for_each_character(std::string_view text, Visit visit) {
    for (std::size_t at = 0; at < text.size();) {
        const utf8_unit unit = read_utf8(text, at);
        visit(unit.value, text.substr(at, unit.length));
        at += unit.length;
    }
}

}  // namespace

std::string visible(std::string_view token) {
    std::string out;
    for_each_stretch(token, [&](std::string_view stretch, bool valid) {
        if (!valid) {
            out += printable(stretch);
            return;
        }
        for_each_character(stretch,
                           [&](char32_t value, std::string_view) { append_visible(out, value); });
    });
    return out;
}

std::size_t columns(std::string_view text) {
    std::size_t sum = 0;
    for_each_character(text, [&](char32_t value, std::string_view) { sum += columns_of(value); });
    return sum;
}

std::string cut(std::string_view text, std::size_t limit) {
    if (columns(text) <= limit) { return std::string(text); }
    if (limit == 0) { return {}; }
    std::string out;
    std::size_t used = 1;  // the mark
    bool full = false;
    for_each_character(text, [&](char32_t value, std::string_view bytes) {
        full = full || used + columns_of(value) > limit;
        if (full) { return; }
        used += columns_of(value);
        out += bytes;
    });
    return out + "…";
}

}  // namespace xlens::program
