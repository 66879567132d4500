// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine.hpp"
#include "json_writer.hpp"

#include <xlens/generate/generate.hpp>
#include <xlens/trace/attribution.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace xlens::program {

/// How a prompt is continued.
struct decoding {
    std::size_t count = 20;
    sampling_request sampling;
    beam_request beam;
    std::vector<std::string> stops;
    bool attribute = false;  // not with beams
};

struct generated_text {
    std::vector<generated> steps;
    std::vector<attribution> attributions;  // one a step, where asked for
    std::string text;                       // valid UTF-8, up to a stop text
    double tokens_per_second = 0.0;
};

/// Continues the prompt; with `prints` the text goes to standard output as it comes.
generated_text continue_prompt(const engine& model, std::span<const token_id> prompt,
                               const decoding& how, const edit_flags& edits, bool prints);

/// {"text", "ids", "steps": [{"id", "text", "probability", "exit_layer", "attribution" if there}],
/// "tokens_per_second"}
void write_generated(json_writer& out, const engine& model, const generated_text& found);

/// Two texts beside each other, line by line.
void print_side_by_side(const generated_text& before, const generated_text& after);

}  // namespace xlens::program
