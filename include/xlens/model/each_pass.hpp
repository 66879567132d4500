// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>
#include <xlens/model/state.hpp>

#include <algorithm>
#include <cstddef>
#include <span>

namespace xlens {

/// One pass over a part of a text.
struct text_pass {
    std::span<const token_id> tokens;  ///< to be read by the pass
    std::size_t row = 0;               ///< of the first one in the whole text
    std::size_t position = 0;          ///< of the first one in its window
};

/// A text in windows that do not overlap, a window in passes of at most `chunk` positions:
/// `each(state, pass)` is to take `state` from pass.position on by a forward over pass.tokens. The
/// state of a window starts empty and reads no logits. `progress(done, total)` counts tokens.
template <class Model, class Each, class Progress>
void each_pass(const Model& model, std::span<const token_id> text, std::size_t window,
               std::size_t chunk, Each each, Progress progress) {
    for (std::size_t start = 0; start < text.size(); start += window) {
        const auto part = text.subspan(start, std::min(window, text.size() - start));
        sequence_state state = model.start();
        state.wanted = logit_rows::none;
        for (std::size_t first = 0; first < part.size(); first += chunk) {
            const auto tokens = part.subspan(first, std::min(chunk, part.size() - first));
            each(state, text_pass{tokens, start + first, first});
            progress(start + first + tokens.size(), text.size());
        }
    }
}

}  // namespace xlens
