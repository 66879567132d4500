// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/model/each_pass.hpp>
#include <xlens/model/state.hpp>
#include <xlens/model/transformer.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(generate)
#include <xlens/core/error.hpp>
#endif

namespace xlens {

/// How a text is cut into windows: a new one starts every `stride` tokens.
struct perplexity_windows {
    // NOLINTNEXTLINE(google-explicit-constructor): a number alone means windows that do not overlap
    perplexity_windows(std::size_t tokens) : window(tokens), stride(tokens) {}
    perplexity_windows(std::size_t tokens, std::size_t every) : window(tokens), stride(every) {}

    std::size_t window;
    std::size_t stride;
    /// What every window begins with, and counts: the tokens that the model expects before a text
    /// (model::prefix). After them a window has room for tokens of the text, at least one of which
    /// it predicts.
    std::vector<token_id> prefix = {};
    /// Tokens that a pass reads: 1 for a policy that leaves early, which acts on such passes.
    std::size_t pass = 64;
    progress_function progress = {};  ///< counts tokens that were read
};

/// One pass over a part of a window, and what its rows are to predict.
struct predicting_pass {
    std::span<const token_id> tokens;  ///< to be read by the pass
    std::size_t position = 0;          ///< of the first one in its window
    /// Rows before the first one that predicts what no window before it has.
    std::size_t skip = 0;
    /// What the rows from there on predict, a token each. The row of a text's last token, which is
    /// read if that is asked for, has none.
    std::span<const token_id> targets;
    std::size_t predicted = 0;  ///< the place of targets[0] in the text
};

/// Positions that each_prediction, below, reads in the window in which it reads most: fewer than
/// a window has where the text is shorter than one, and of a whole window the last is read only at
/// the text's end, with `to_end`. What acts on later positions alone acts nowhere.
[[nodiscard]] XLENS_API std::size_t positions_read(const perplexity_windows& cut,
                                                   std::size_t tokens, bool to_end);

namespace detail {

/// Throws xlens::error, naming `what`, for windows that do not fit the model, and for fewer than
/// two tokens.
XLENS_API void check_windows(const transformer<>& model, std::size_t tokens,
                             const perplexity_windows& cut, std::string_view what);

}  // namespace detail

/// Reads a text window by window: `each(state, pass)` is to read pass.tokens by a forward on
/// `state`, which starts empty in every window, reads no logits, and whose policies are asked for
/// the next token at every position. A window predicts only what none before it has: the rest is
/// context. With `to_end` the last token of the text is read as well, which predicts what is not
/// known. Throws xlens::error, naming `what`, where a window does not fit the model's context, or
/// the stride the window, and for fewer than 2 tokens.
template <class Each>
void each_prediction(const transformer<>& model, std::span<const token_id> tokens,
                     const perplexity_windows& cut, bool to_end, std::string_view what, Each each) {
    detail::check_windows(model, tokens.size(), cut, what);
    const std::size_t before = cut.prefix.size();
    const std::size_t room = cut.window - before;  // of a window, for the text
    // Tokens [.., predicted) are; without a prefix the first never is.
    std::size_t predicted = before == 0 ? 1 : 0;
    for (std::size_t start = 0; predicted < tokens.size(); start += cut.stride) {
        const auto part = tokens.subspan(start, std::min(room, tokens.size() - start));
        const std::vector<token_id> all = with_prefixes(part, cut.window, cut.prefix);
        const std::span<const token_id> text(all);
        const bool whole = to_end && start + part.size() == tokens.size();
        const auto read = text.first(text.size() - (whole ? 0 : 1));
        // Row q of the window predicts its row q + 1; the first of these that is to be predicted:
        const std::size_t fresh_row = before + (predicted - start);
        predicted = start + part.size();
        if (read.empty()) { continue; }
        sequence_state state = model.start();
        state.wanted = logit_rows::none;
        each_pass(model, state, read, cut.pass, [&](const text_pass& pass) {
            state.prompt = 1;  // every position is asked for the next token
            const std::size_t count = pass.tokens.size();
            const std::size_t known = fresh_row - std::min(fresh_row, pass.position + 1);
            const std::size_t skip = std::min(count, known);
            const std::size_t first = std::min(pass.position + skip + 1, text.size());
            const std::size_t targets = std::min(count - skip, text.size() - first);
            each(state, predicting_pass{pass.tokens, pass.position, skip,
                                        text.subspan(first, targets), start + first - before});
            cut.progress(std::min(start + pass.position + count, tokens.size()), tokens.size());
        });
    }
}

#if XLENS_DEFINES(generate)

XLENS_API std::size_t positions_read(const perplexity_windows& cut, std::size_t tokens,
                                     bool to_end) {
    const std::size_t before = cut.prefix.size();
    if (cut.window <= before || cut.stride == 0) { return cut.window; }  // refused when it is read
    const std::size_t room = cut.window - before;
    const std::size_t left = tokens - std::min(tokens, room);  // by the first window
    const std::size_t last = (left + cut.stride - 1) / cut.stride * cut.stride;  // window's begin
    const std::size_t at_end = before + tokens - std::min(tokens, last) - (to_end ? 0 : 1);
    return left > 0 ? std::max(cut.window - 1, at_end) : at_end;
}

namespace detail {

XLENS_API void check_windows(const transformer<>& model, std::size_t tokens,
                             const perplexity_windows& cut, std::string_view what) {
    const std::size_t before = cut.prefix.size();
    const std::size_t least = before == 0 ? 2 : before + 1;
    if (cut.window < least || cut.window > model.config.context) {
        fail("window: expected {} to {}, got {}", least, model.config.context, cut.window);
    }
    if (cut.stride < 1 || cut.stride > cut.window - before) {
        fail("stride: expected 1 to {}, the window{}, got {}", cut.window - before,
             before == 0 ? "" : " without what begins it", cut.stride);
    }
    if (cut.pass < 1) { fail("pass: expected at least 1 token, got 0"); }
    if (tokens < 2) { fail("{}: {} tokens, expected at least 2", what, tokens); }
}

}  // namespace detail

#endif

}  // namespace xlens
