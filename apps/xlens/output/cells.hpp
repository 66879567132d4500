// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/visible.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace xlens::program {

/// Text in the cells of a terminal.

/// Columns that the text takes: wide characters two, combining ones none.
std::size_t columns(std::string_view text);

/// The text cut to at most `limit` columns; … marks the cut.
std::string cut(std::string_view text, std::size_t limit);

}  // namespace xlens::program
