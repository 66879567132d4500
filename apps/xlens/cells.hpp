// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace xlens::program {

/// Text in the cells of a terminal.

/// A token as a person can read it in a table: spaces become ␣, line ends ⏎, other control
/// characters their pictures, characters without a shape of their own <their numbers>, and bytes
/// that are no UTF-8, as of a token that is part of a character, \xNN. The result is valid UTF-8
/// without control characters.
std::string visible(std::string_view token);

/// Columns that the text takes: wide characters two, combining ones none.
std::size_t columns(std::string_view text);

/// The text cut to at most `limit` columns; … marks the cut.
std::string cut(std::string_view text, std::size_t limit);

}  // namespace xlens::program
