// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "flags/flags.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace xlens {
struct recipe;
}

// What edits are made of: their recipe, and the files that they name.

namespace xlens::program {

/// The recipe file, and features, files of directions and banned words as last steps of it.
[[nodiscard]] recipe recipe_of(const edit_flags& edits);

/// A file, and what tells its bytes from others; nothing for what can be read but once, a pipe.
struct edit_file {
    std::string path;
    std::optional<std::uint32_t> crc32;
};

/// All files that edits name: the recipe, and in the order of the steps those that it and the
/// flags name. Each is read when edits are first asked for, and not again: the record of a run
/// says what it began with, and a thousand prompts cost no more than one.
[[nodiscard]] const std::vector<edit_file>& files_of(const edit_flags& edits);

}  // namespace xlens::program
