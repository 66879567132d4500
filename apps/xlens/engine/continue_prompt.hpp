// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"
#include "output/generated_text.hpp"

#include <xlens/generate/beam.hpp>
#include <xlens/generate/sampling.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace xlens {
class dynamic_policies;
}

namespace xlens::program {

/// How a prompt is continued: token by token, or by the best of some beams.
struct decoding {
    std::size_t count = 20;
    sampler::options sampling;
    std::optional<beam_options> beam;  // its count and ends come from here and the model
    std::vector<std::string> stops;
    bool attribute = false;     // not with beams
    bool verify = false;        // what the exit rule names; not with beams or attribute
    bool probabilities = true;  // of the tokens, which take longer
};

/// Continues the prompt under interventions and, token by token, by the exit rule in use; with
/// `prints` the text goes to standard output as it comes.
generated_text continue_prompt(const engine& opened, std::span<const token_id> prompt,
                               const decoding& how, dynamic_policies edits, bool prints);

}  // namespace xlens::program
