// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/trace/coefficient_examples.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/core/error.hpp>
#include <xlens/model/each_pass.hpp>
#include <xlens/model/state.hpp>
#include <xlens/nn/norm.hpp>

#include <utility>
#endif

namespace xlens {

struct example_options {
    example_shape keep = {};
    std::size_t window = 512;           ///< tokens that are read together
    std::vector<token_id> prefix = {};  ///< what every window begins with, and counts
                                        ///< (model::prefix); it is no part of the text
    std::size_t pass = 64;              ///< positions of a pass: changes memory, not results
    progress_function progress = {};    ///< counts tokens
};

/// Where neurons fire in a text.
struct text_examples {
    coefficient_examples found;
    std::vector<token_id> tokens;  ///< by row: the windows one after the other
    std::size_t window = 0;        ///< rows of one
    std::size_t prefix = 0;        ///< rows that begin each, before its part of the text

    /// Number of the text's token at a row; nothing for one that begins a window.
    [[nodiscard]] std::optional<std::size_t> position(std::size_t row) const {
        if (row % window < prefix) { return std::nullopt; }
        return row - (row / window + 1) * prefix;
    }
    /// Row behind the last one of the window of a row.
    [[nodiscard]] std::size_t window_end(std::size_t row) const {
        return std::min((row / window + 1) * window, tokens.size());
    }
};

/// Reads a text in windows that do not overlap, and finds where these neurons fire most
/// (coefficient_examples): contexts are of one window, what the model read. By default the first
/// position of each window is not looked at, since it attends to itself alone and its coefficients
/// are often a hundred times larger (event_options::skipped): with a prefix that is the start
/// token. For all neurons of a model, `all_neurons`, take no context: memory then does not grow
/// with the window. Throws xlens::error for a text of no token or of none that is looked at, a
/// window that does not fit, what coefficient_examples refuses, and where a residual is no number.
/// Cost a pass over the text.
XLENS_API text_examples find_examples(const transformer<>& model, std::span<const token_id> text,
                                      std::vector<neuron> neurons,
                                      const example_options& options = {});

/// All L·F, by layer and index.
XLENS_API std::vector<neuron> all_neurons(const model_sizes& sizes);

#if XLENS_DEFINES(trace)

XLENS_API std::vector<neuron> all_neurons(const model_sizes& sizes) {
    std::vector<neuron> out;
    out.reserve(sizes.layers * sizes.inner_width);
    for (std::size_t l = 0; l < sizes.layers; ++l) {
        for (std::size_t i = 0; i < sizes.inner_width; ++i) { out.push_back({l, i}); }
    }
    return out;
}

XLENS_API text_examples find_examples(const transformer<>& model, std::span<const token_id> text,
                                      std::vector<neuron> neurons, const example_options& options) {
    if (options.window > model.config.context || options.window <= options.keep.skipped) {
        fail("examples: window: expected {} to {}, got {}", options.keep.skipped + 1,
             model.config.context, options.window);
    }
    if (options.pass == 0) { fail("examples: pass: expected at least 1, got 0"); }
    if (text.empty()) { fail("examples: expected a text of at least 1 token, got 0"); }
    text_examples out{coefficient_examples(model.sizes(), std::move(neurons), options.keep),
                      with_prefixes(text, options.window, options.prefix), options.window,
                      options.prefix.size()};
    const std::span<const token_id> tokens(out.tokens);
    each_window(
        model, tokens, options.window, options.pass,
        [&](sequence_state& state, const text_pass& pass) {
            if (pass.position == 0) {
                out.found.begin_window(pass.row, out.window_end(pass.row) - pass.row);
            }
            model.forward(state, pass.tokens, out.found);
            check_residual(state.residual, state.exit_layer, pass.row);
            if (pass.last) { out.found.end_window(); }
        },
        options.progress);
    if (out.found.positions() == 0) {
        fail("examples: {} tokens, expected more than the {} that are skipped in every window",
             tokens.size(), options.keep.skipped);
    }
    return out;
}

#endif

}  // namespace xlens
