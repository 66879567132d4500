// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/early_exit/fit_rules.hpp>
#include <xlens/lens/linear_lens.hpp>
#include <xlens/model/transformer.hpp>

#include <cstddef>
#include <span>

#if XLENS_DEFINES(early_exit)
#include <xlens/early_exit/exit_examples.hpp>

#include <algorithm>
#include <vector>
#endif

namespace xlens::early_exit {

struct text_lens_options {
    exit_lens kind = exit_lens::tuned;
    std::size_t window = 512;                    ///< tokens that are read together
    std::size_t memory = std::size_t{1} << 30U;  ///< bytes of residuals that are kept at once
    progress_function progress = {};             ///< counts layers
};

/// A lens for every layer but the last, fitted to the residuals of a text (fit_lens). Layers are
/// taken in groups whose residuals fit into `memory`, at least one, and the text is read once a
/// group. Throws xlens::error as gather_examples does.
XLENS_API linear_lens fit_text_lens(const transformer<>& model, std::span<const token_id> tokens,
                                    const text_lens_options& options = {});

#if XLENS_DEFINES(early_exit)

XLENS_API linear_lens fit_text_lens(const transformer<>& model, std::span<const token_id> tokens,
                                    const text_lens_options& options) {
    const std::size_t layers = model.config.layers - 1;
    const std::size_t each = tokens.size() * model.config.width * sizeof(float);
    const std::size_t group =
        std::max<std::size_t>(options.memory / std::max<std::size_t>(each, 1), 1);
    linear_lens out;
    for (std::size_t first = 0; first < layers; first += group) {
        std::vector<std::size_t> some;
        for (std::size_t l = first; l < std::min(first + group, layers); ++l) { some.push_back(l); }
        const exit_examples e = gather_examples(model, tokens, options.window, some, false, {});
        const auto report = [&](std::size_t done, std::size_t) {
            options.progress(first + done, layers);
        };
        const linear_lens fitted = fit_lens(model, e, e.count(), options.kind, report);
        for (const auto& [layer, t] : fitted.layers()) { out.set(layer, t); }
    }
    return out;
}

#endif

}  // namespace xlens::early_exit
