// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// What the fragments of C++ in README.md and docs/ may take as given. A page is read from top to
// bottom: a fragment sees what the fragments before it on its page declare, and these names. A
// reader must be able to guess what they are, so there are few. Nothing here is defined: fragments
// are compiled, not linked.

#include <fmt/format.h>
#include <xlens/xlens.hpp>

#include <cstddef>
#include <cstdio>
#include <vector>

namespace document {

/// A model, and a layer of it.
extern const xlens::model model;
extern const decltype(xlens::model::block_type::ffn)& ffn;
/// The input of a layer: (D).
extern const xt::xtensor<float, 1> x;

/// A prompt's tokens, and one token.
extern const std::vector<xlens::token_id> ids;
extern const xlens::token_id token;
/// Those of another prompt.
extern const std::vector<xlens::token_id> other_ids;

extern const xlens::logit_lens lens;

/// Some neurons: a cluster, or what a search found.
extern const std::vector<xlens::neuron> neurons;

}  // namespace document
