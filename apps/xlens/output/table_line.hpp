// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace xlens::program {

/// Widest line that the program prints.
inline constexpr std::size_t page_width = 100;

enum class style { plain, dim, bold, good, bad, accent, negative };

/// Of what adds, and of what takes away.
inline style style_of_sign(double x) { return x < 0.0 ? style::negative : style::good; }

/// Width of the column that says what something adds.
inline constexpr std::size_t adds_width = 10;

/// Whether standard output takes colours: a terminal, and NO_COLOR (no-color.org) is not set.
bool use_colors();

/// One line of a table, put together from left to right. It counts columns, not bytes, and never
/// grows beyond page_width: what does not fit is cut.
class table_line {
public:
    /// The text as it is.
    table_line& put(std::string_view text, style s = style::plain);
    /// The text cut or padded on the right to `width` columns.
    table_line& cell(std::string_view text, std::size_t width, style s = style::plain);
    /// The text padded on the left.
    table_line& right(std::string_view text, std::size_t width, style s = style::plain);
    /// What something adds, with its sign, padded on the left.
    table_line& adds(double x);
    /// Spaces up to a column.
    table_line& to(std::size_t column);
    [[nodiscard]] std::size_t column() const { return m_columns; }
    /// Columns left up to `end`.
    [[nodiscard]] std::size_t left(std::size_t end) const {
        return end > m_columns ? end - m_columns : 0;
    }
    /// Prints the line to standard output.
    void print() const;

private:
    std::string m_text;
    std::size_t m_columns = 0;
};

}  // namespace xlens::program
