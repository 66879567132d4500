// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The inside of engine.hpp: for the files engine*.cpp alone, since it compiles the library's
// models.

#include "engine.hpp"

#include <xlens/early_exit/fitted_exit.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/io/load.hpp>

#include <optional>
#include <string>

namespace xlens::program {

struct engine::parts {
    std::string path;
    std::string precision;
    xlens::model model;
    // Of generate, perplexity and trace.
    std::optional<early_exit::fitted_exit> exit = std::nullopt;
};

/// The policies that edit flags ask for, in their order; everything is checked here. A pack without
/// edits changes nothing. `prompt_length` is for recipes that tell a prompt from what follows it.
[[nodiscard]] dynamic_policies policies_of(const edit_flags& edits, const xlens::model& model,
                                           std::optional<std::size_t> prompt_length = {});

}  // namespace xlens::program
