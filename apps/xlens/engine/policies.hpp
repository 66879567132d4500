// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"

#include <xlens/text/templates/prompts.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace xlens {
class dynamic_policies;
}

namespace xlens::program {

/// The policies that edit flags ask for, in their order; everything is checked here. Without edits
/// an empty pack, which changes nothing. Throws xlens::error for an intervention that does not
/// fit the model or the run, or that needs a prompt where there is none.
struct planned_run {
    std::optional<std::size_t> prompt_length = {};  ///< tokens of the prompt, where there is one
    std::optional<std::size_t> positions = {};      ///< the most that a sequence will have
    bool writes = false;                            ///< whether a text is written
};
[[nodiscard]] dynamic_policies interventions_of(const edit_flags& edits, const xlens::model& model,
                                                const planned_run& run);

/// The same for each of some prompts, each with up to `more` tokens after it; before any work.
[[nodiscard]] std::vector<dynamic_policies> interventions_of(const edit_flags& edits,
                                                             const xlens::model& model,
                                                             std::span<const file_prompt> prompts,
                                                             std::size_t more = 0,
                                                             bool writes = false);

/// Adds early exit by the rule that the engine uses, if it uses one. After the interventions, so
/// that it decides on what they leave.
void add_exit(const engine& opened, dynamic_policies& to);

}  // namespace xlens::program
