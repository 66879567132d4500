// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "flags/arguments.hpp"

#include <optional>
#include <string>

namespace xlens::program {

/// The flags that say what to search for: exactly one of them.
struct query_flags {
    std::optional<std::string> words;
    std::optional<std::string> pattern;
    std::optional<std::string> ids;
    std::optional<std::string> like;

    void declare(arguments& to);
    [[nodiscard]] bool given() const { return words || pattern || ids || like; }
    /// Throws xlens::error unless exactly one was given, and for what is wrong without a model.
    void check() const;
};

}  // namespace xlens::program
