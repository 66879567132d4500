// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"

#include <cstddef>
#include <string>

// How tables and pages name a model, its tokens and its numbers.

namespace xlens::program {

/// The model's file or folder, without the path.
std::string model_name(const engine& model);
/// "llama, 30 layers of 1536 sub-updates, q4_1".
std::string model_sizes(const engine& model);

/// ", edited: 12:1033 = 0, 4:17 × 0.5, recipe FILE"; empty where nothing is.
std::string edits_text(const edit_flags& edits);

/// A token as the pictures show it: visible(text), or its number where the model has no text.
std::string token_label(const engine& model, token_id id);

/// Columns of the model's longest "layer:index", or of the heading "neuron".
std::size_t neuron_width(const hyperparameters& config);

/// "35%" of a probability; "<1%" below that.
std::string percent(float probability);

}  // namespace xlens::program
