// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"
#include "output/json_writer.hpp"

#include <xlens/core/types.hpp>

#include <string_view>
#include <vector>

namespace xlens {
struct reading;
struct token_ends;
}  // namespace xlens

// Lists of TOK = {"id", "text", "probability" | "score"}.

namespace xlens::program {

/// {"id", "text"}.
void write_token(json_writer& out, const engine& model, token_id id);

/// The tokens that a lens reads, best first, as "key": [TOK..] with probabilities.
void write_reading(json_writer& out, const engine& model, std::string_view key,
                   const reading& tokens);

/// Tokens as "key": [TOK..] with scores.
void write_scored(json_writer& out, const engine& model, std::string_view key,
                  const std::vector<scored>& tokens);

/// Both ends of a value vector, as "promotes" and "suppresses" with scores.
void write_ends(json_writer& out, const engine& model, const token_ends& ends);

}  // namespace xlens::program
