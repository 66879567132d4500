// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"
#include "output/json_writer.hpp"

namespace xlens {
struct attribution;
}

namespace xlens::program {

/// {"position", "token", "against" if there is one, "logit", "embedding", "attention", "ffn",
/// "bias", "biases", "gap", "sub_updates"}; of a sub-update "promotes" and "suppresses" too, where
/// its concept is known.
void write_attribution(json_writer& out, const engine& model, const attribution& a);

}  // namespace xlens::program
