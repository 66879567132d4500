// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/early_exit/lens_reader.hpp>
#include <xlens/lens/reading.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>

#if XLENS_DEFINES(early_exit)
#include <xlens/core/error.hpp>
#include <xlens/lens/logit_lens.hpp>
#endif

namespace xlens::early_exit {

/// The logit lens of a model as a function; borrows the model.
XLENS_API lens_read lens_read_of(const transformer<>& model);

/// The top token of what was read after `layer` at `position`. Throws xlens::error naming both
/// where there is none: no score is a number, as with a NaN in the final norm.
XLENS_API token_id top_of(const reading& r, std::size_t layer, std::size_t position);

#if XLENS_DEFINES(early_exit)

XLENS_API lens_read lens_read_of(const transformer<>& model) {
    return
        [lens = logit_lens(model)](rows<const float> x, std::size_t k) { return lens.read(x, k); };
}

XLENS_API token_id top_of(const reading& r, std::size_t layer, std::size_t position) {
    if (r.top.empty()) {
        fail("layer {}, position {}: no token has a score that is a number", layer, position);
    }
    return r.top.front().id;
}

#endif

}  // namespace xlens::early_exit
