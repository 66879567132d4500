// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "arguments.hpp"
#include "engine.hpp"
#include "json_writer.hpp"

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

/// The flags that say what to search for: exactly one of them.
struct query_flags {
    std::optional<std::string> words;
    std::optional<std::string> pattern;
    std::optional<std::string> ids;
    std::optional<std::string> like;

    void declare(arguments& to);
    /// Throws xlens::error unless exactly one was given, and for what is wrong without a model.
    void check() const;
    /// Throws xlens::error where it stands for no token or neuron of the model.
    [[nodiscard]] search_query read(const engine& model) const;
};

/// "query": {"words", "regex", "like" (those that apply), "tokens"}.
void write_query(json_writer& out, const engine& model, const search_query& query);
/// Every token that is searched for, by name.
void print_query(const engine& model, const search_query& query);

}  // namespace xlens::program
