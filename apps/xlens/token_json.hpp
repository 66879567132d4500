// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine.hpp"
#include "json_writer.hpp"

#include <xlens/lens/vocabulary.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

// Lists of TOK = {"id", "text", "probability" | "score"}.

namespace xlens::program {

/// The tokens that a lens reads, best first, as "key": [TOK..] with probabilities.
inline void write_reading(json_writer& out, const engine& model, std::string_view key,
                          const reading& tokens) {
    out.key(key);
    out.begin_array();
    for (const scored& token : tokens.top) {
        out.begin_object();
        out.field("id", token.id);
        out.field("text", model.token_text(token.id));
        out.field("probability", tokens.probability(token));
        out.end_object();
    }
    out.end_array();
}

/// Both ends of a value vector, as "promotes" and "suppresses" with scores.
inline void write_ends(json_writer& out, const engine& model, const token_ends& ends) {
    const auto write = [&](std::string_view key, std::span<const scored> tokens) {
        out.key(key);
        out.begin_array();
        for (const scored& token : tokens) {
            out.begin_object();
            out.field("id", token.id);
            out.field("text", model.token_text(token.id));
            out.field("score", token.score);
            out.end_object();
        }
        out.end_array();
    };
    write("promotes", ends.promotes);
    write("suppresses", ends.suppresses);
}

}  // namespace xlens::program
