// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/model/state.hpp>
#include <xlens/model/transformer.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace xlens {

/// One pass over a part of a text.
struct text_pass {
    std::span<const token_id> tokens;  ///< to be read by the pass
    std::size_t row = 0;               ///< of the first one in the whole text
    std::size_t position = 0;          ///< of the first one in its window
    bool last = false;                 ///< whether the window ends with this pass
};

/// The tokens that follow in a sequence, in passes of at most `chunk` positions: `each(pass)` is to
/// read pass.tokens by a forward. Policies are told that the prompt ends where the tokens do.
/// Throws xlens::error, before anything is read, for tokens that do not fit the model.
template <class Model, class Each>
void each_pass(const Model& model, sequence_state& state, std::span<const token_id> tokens,
               std::size_t chunk, Each each) {
    model.check(state, tokens);
    const std::size_t begin = state.position;
    state.prompt = begin + tokens.size();
    for (std::size_t first = 0; first < tokens.size(); first += chunk) {
        const auto part = tokens.subspan(first, std::min(chunk, tokens.size() - first));
        each(text_pass{part, first, begin + first, first + part.size() == tokens.size()});
    }
}

/// A text of windows that begin with `prefix`, what the model expects before a text, for whoever
/// reads windows of `window` tokens: the prefix, then as many tokens as there is room for, and so
/// on. Throws xlens::error for windows that have no such room.
inline std::vector<token_id> with_prefixes(std::span<const token_id> text, std::size_t window,
                                           std::span<const token_id> prefix) {
    if (window <= prefix.size()) {
        fail("window: expected more than the {} tokens that begin it, got {}", prefix.size(),
             window);
    }
    const std::size_t room = window - prefix.size();
    std::vector<token_id> out;
    for (std::size_t start = 0; start < text.size(); start += room) {
        const auto part = text.subspan(start, std::min(room, text.size() - start));
        out.insert(out.end(), prefix.begin(), prefix.end());
        out.insert(out.end(), part.begin(), part.end());
    }
    return out;
}

/// A text in windows that do not overlap, a window in passes of at most `chunk` positions:
/// `each(state, pass)` is to take `state` from pass.position on by a forward over pass.tokens. The
/// state of a window starts empty and reads no logits. `progress(done, total)` counts tokens.
template <class Model, class Each>
void each_window(const Model& model, std::span<const token_id> text, std::size_t window,
                 std::size_t chunk, Each each, const progress_function& progress) {
    for (std::size_t start = 0; start < text.size(); start += window) {
        const auto part = text.subspan(start, std::min(window, text.size() - start));
        sequence_state state = model.start();
        state.wanted = logit_rows::none;
        each_pass(model, state, part, chunk, [&](text_pass pass) {
            pass.row += start;
            each(state, pass);
            progress(pass.row + pass.tokens.size(), text.size());
        });
    }
}

}  // namespace xlens
