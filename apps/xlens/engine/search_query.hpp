// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"
#include "flags/query_flags.hpp"

#include <xlens/core/types.hpp>

#include <optional>
#include <string>
#include <vector>

namespace xlens::program {

/// What to search for, as it was understood.
struct search_query {
    struct word {
        std::string text;
        std::vector<token_id> tokens;
        bool pieces = false;  // no token is the whole word
    };
    std::vector<word> words;  // with --words
    std::optional<std::string> pattern;
    std::vector<token_id> tokens;  // all of them, each once, by id
    std::optional<neuron> like;
};

/// Throws xlens::error where the flags stand for no token or neuron of the model.
[[nodiscard]] search_query read_query(const engine& opened, const query_flags& flags);

}  // namespace xlens::program
