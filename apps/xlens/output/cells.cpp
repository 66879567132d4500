// SPDX-License-Identifier: BSD-3-Clause
#include "output/cells.hpp"

#include <xlens/text/utf8.hpp>

#include <utf8proc.h>

namespace xlens::program {

namespace {

std::size_t columns_of(char32_t value) {
    const int width = utf8proc_charwidth(static_cast<utf8proc_int32_t>(value));
    return width > 0 ? static_cast<std::size_t>(width) : 0;
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
