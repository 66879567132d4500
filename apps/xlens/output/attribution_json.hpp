// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"
#include "output/json_writer.hpp"

#include <xlens/core/types.hpp>

#include <span>

namespace xlens {
struct attribution;
}

namespace xlens::program {

/// {"position", "token", "against" if there is one, "logit", "embedding", "attention", "ffn",
/// "bias", "biases", "gap", "heads" and "head" where they are known, "sub_updates"}; of a
/// sub-update "promotes" and "suppresses" too, where its concept is known. `tokens`: those that
/// were read, which the positions of "head" name.
void write_attribution(json_writer& out, const engine& model, const attribution& a,
                       std::span<const token_id> tokens = {});

}  // namespace xlens::program
