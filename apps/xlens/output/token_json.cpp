// SPDX-License-Identifier: BSD-3-Clause
#include "output/token_json.hpp"

#include <xlens/lens/reading.hpp>
#include <xlens/lens/token_ends.hpp>

namespace xlens::program {

void write_scored(json_writer& out, const engine& model, std::string_view key,
                  const std::vector<scored>& tokens) {
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
}

void write_token(json_writer& out, const engine& model, token_id id) {
    out.begin_object();
    out.field("id", id);
    out.field("text", model.token_text(id));
    out.end_object();
}

void write_reading(json_writer& out, const engine& model, std::string_view key,
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

void write_ends(json_writer& out, const engine& model, const token_ends& ends) {
    write_scored(out, model, "promotes", ends.promotes);
    write_scored(out, model, "suppresses", ends.suppresses);
}

}  // namespace xlens::program
