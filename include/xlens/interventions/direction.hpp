// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/core/token.hpp>
#include <xlens/core/types.hpp>
#include <xlens/model/transformer.hpp>

#include <cstddef>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/lens/logit_lens.hpp>
#endif

// Directions in the residual, to steer along (interventions/steer.hpp).

namespace xlens {

/// v_i (D): what the neuron's sub-updates add.
/// Throws xlens::error if the model has no such neuron.
[[nodiscard]] XLENS_API std::vector<float> value_direction(const transformer<>& model,
                                                           const neuron& where);

/// γ⊙e_w (D): what the residual must point at for the lens to read token w, e_w being its row of
/// the unembedding and γ the final norm's gain. The difference of two moves the odds between them.
/// Throws xlens::error if the vocabulary has no such token.
[[nodiscard]] XLENS_API std::vector<float> token_direction(const transformer<>& model,
                                                           token_id token);

#if XLENS_DEFINES(interventions)

XLENS_API std::vector<float> value_direction(const transformer<>& model, const neuron& where) {
    check_neuron(where, model.config.layers, model.config.inner_width);
    std::vector<float> out(model.config.width);
    model.blocks[where.layer].ffn.value(where.index, out);
    return out;
}

XLENS_API std::vector<float> token_direction(const transformer<>& model, token_id token) {
    check_token(token, model.config.vocabulary, "direction");
    std::vector<float> out(model.config.width);
    logit_lens(model).direction(token, out);
    return out;
}

#endif

}  // namespace xlens
