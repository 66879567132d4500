// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <span>

#if XLENS_DEFINES(model)
#include <xlens/core/error.hpp>
#include <xlens/core/layer.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/model/pass.hpp>
#include <xlens/model/state.hpp>
#include <xlens/model/undo_pass.hpp>

#include <algorithm>
#endif

namespace xlens {

/// Goes on with a pass in its middle: residuals (T, D) enter layer `first`, and state.residual is
/// what leaves the last one. The state must have been read up to these T tokens: they see its
/// earlier positions. Layers before `first` do not run and keep nothing of them, so that the state
/// is then good for truncate() alone, to where it was. Reads no logits. Throws xlens::error as
/// forward does, and for a layer or residuals that the model does not have.
XLENS_API void resume(const transformer<>& model, sequence_state& state,
                      std::span<const token_id> tokens, std::size_t first,
                      rows<const float> residuals);

#if XLENS_DEFINES(model)

XLENS_API void resume(const transformer<>& model, sequence_state& state,
                      std::span<const token_id> tokens, std::size_t first,
                      rows<const float> residuals) {
    model.check(state, tokens);
    check_layer("resume", first, model.blocks.size());
    if (residuals.count() != tokens.size() || residuals.width() != model.config.width) {
        fail("resume: residuals ({}, {}), expected ({}, {})", residuals.count(), residuals.width(),
             tokens.size(), model.config.width);
    }
    if (state.owed.shape(0) > 0) { fail("resume: the state has left layers out"); }
    const hyperparameters& c = model.config;
    detail::undo_pass undo(state);
    detail::single_pass pass(state, tokens,
                             {c.width, c.inner_width, c.heads, c.kv_heads, c.head_size});
    const rows<float> x = pass.fresh();
    for (std::size_t t = 0; t < x.count(); ++t) { std::ranges::copy(residuals[t], x[t].begin()); }
    dynamic_policies none;
    for (std::size_t l = first; l < model.blocks.size(); ++l) {
        const rows<float> all = pass.enter(l, model.position);
        model.blocks[l](pass, all, model.position, none);
    }
    pass.end(pass.fresh());
    state.residual = pass.fresh().tensor();
    state.logits.resize({std::size_t{0}, c.vocabulary});
    state.answer.reset();
    undo.keep();
}

#endif

}  // namespace xlens
