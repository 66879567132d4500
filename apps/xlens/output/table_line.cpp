// SPDX-License-Identifier: BSD-3-Clause
#include "output/table_line.hpp"

#include "output/cells.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace xlens::program {

namespace {

const char* code(style s) {
    switch (s) {
        case style::plain: return "";
        case style::dim: return "\x1b[2m";
        case style::bold: return "\x1b[1m";
        case style::good: return "\x1b[1;32m";
        case style::bad: return "\x1b[31m";
        case style::accent: return "\x1b[36m";
        case style::negative: return "\x1b[35m";
    }
    return "";
}

}  // namespace

bool use_colors() {
    static const bool answer = [] {
        const char* refused = std::getenv("NO_COLOR");
        return ::isatty(STDOUT_FILENO) != 0 && (refused == nullptr || *refused == '\0');
    }();
    return answer;
}

table_line& table_line::put(std::string_view text, style s) {
    const std::string fitting = cut(text, left(page_width));
    m_columns += columns(fitting);
    const bool painted = s != style::plain && use_colors() && !fitting.empty();
    if (painted) { m_text += code(s); }
    m_text += fitting;
    if (painted) { m_text += "\x1b[0m"; }
    return *this;
}

table_line& table_line::cell(std::string_view text, std::size_t width, style s) {
    const std::size_t end = m_columns + width;
    return put(cut(text, width), s).to(end);
}

table_line& table_line::right(std::string_view text, std::size_t width, style s) {
    const std::string fitting = cut(text, width);
    return to(m_columns + width - columns(fitting)).put(fitting, s);
}

table_line& table_line::adds(double x) {
    return right(fmt::format("{:+.3f}", x), adds_width, style_of_sign(x));
}

table_line& table_line::to(std::size_t column) {
    const std::size_t end = std::min(column, page_width);
    if (end > m_columns) {
        m_text.append(end - m_columns, ' ');
        m_columns = end;
    }
    return *this;
}

void table_line::print() const {
    // Blanks at the end would only be in the way of who copies the line.
    const std::size_t last = m_text.find_last_not_of(' ');
    const std::size_t size = last == std::string::npos ? 0 : last + 1;
    std::fwrite(m_text.data(), 1, size, stdout);
    std::fputc('\n', stdout);
}

}  // namespace xlens::program
