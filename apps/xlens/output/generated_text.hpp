// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"
#include "output/json_writer.hpp"

#include <xlens/early_exit/verified.hpp>
#include <xlens/generate/generate.hpp>
#include <xlens/trace/attribution.hpp>

#include <optional>
#include <string>
#include <vector>

namespace xlens::program {

/// A prompt's continuation.
struct generated_text {
    std::vector<generated> steps;
    std::vector<attribution> attributions;  // one a step, where asked for
    std::string text;                       // valid UTF-8, up to a stop text
    finish why = finish::length;            // it ended
    double tokens_per_second = 0.0;
    std::optional<early_exit::draft_counts> drafts;  // where exits were verified
};

/// {"text", "ids", "steps": [{"id", "text", "probability", "exit_layer", "attribution" if there}],
/// "finish_reason", "tokens_per_second"}, and where exits were verified "verified": {"drafts",
/// "accepted", "passes", "tokens_per_pass", "saved_layers"}
void write_generated(json_writer& out, const engine& model, const generated_text& found);

/// Two texts beside each other, line by line.
void print_side_by_side(const generated_text& before, const generated_text& after);

}  // namespace xlens::program
