// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/report/assets.hpp>
#include <xlens/report/fill.hpp>
#include <xlens/report/html_page.hpp>
#include <xlens/report/trace_page_data.hpp>
#include <xlens/trace/observe_patterns.hpp>
#include <xlens/trace/trace.hpp>

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <span>
#include <string>

namespace xlens {

/// What a trace's page says beside the trace, plain text all of it, and how much it shows.
struct trace_page_options {
    std::string model{};           ///< the model's name
    std::string about{};           ///< a line about it: architecture, sizes
    std::string made{};            ///< what it takes to make the page again
    std::size_t top = 10;          ///< tokens of each list, where the trace has so many
    std::size_t sub_updates = 10;  ///< of each layer and position, likewise
    /// What heads took of which position in this trace's passes; borrowed. Left out where it is
    /// null, and for prompts of more than most_patterned_tokens.
    const observe_patterns* patterns = nullptr;
};

/// A trace as a picture to explore: layers down, positions across, in each cell the top token after
/// the layer's FFN update with its probability as colour; saturation layers, eliminations and,
/// where the trace has them, early exits are marked. The chosen cell (mouse, touch, arrow keys)
/// shows the tokens before and after the update, what it promoted and eliminated, and its dominant
/// sub-updates with their concepts (Geva et al. 2022, figure 1). Its looks and its script:
/// web/trace/.
///
/// `positions`: what `trace` made of `prompt`, one or all; `bytes(id)`: a token's exact bytes,
/// empty where there is no text. Throws xlens::error if there is no position. With 10 tokens a list
/// and 10 sub-updates a cell takes about 270 bytes, a value vector 110, a token 18: a prompt of 200
/// tokens in 30 layers makes a page of 4 MB. Patterns take 2/3·L·H·T² bytes: of 96 tokens, 30
/// layers and 9 heads 1.7 MB. Write it with `write_page`.
template <class TokenBytes>
html_page trace_page(std::span<const traced_position> positions, std::span<const token_id> prompt,
                     TokenBytes bytes, const trace_page_options& options) {
    if (positions.empty() || positions.front().layers.empty()) {
        fail("page of a trace: expected at least 1 position and layer, got 0");
    }
    std::string text;
    for (const token_id id : prompt) {
        const std::string token = bytes(id);
        text += token.empty() ? fmt::format("#{} ", id) : token;
    }
    const bool patterned = options.patterns != nullptr && prompt.size() <= most_patterned_tokens;
    const std::array values{
        placeholder{"prompt", html_text(text)},
        placeholder{"model", html_text(options.model)},
        placeholder{"about", html_text(options.about)},
        placeholder{"exit_key",
                    std::string(positions.front().exit_layer ? assets::exit_key_html : "")},
        placeholder{"layers", std::to_string(positions.front().layers.size())},
        placeholder{"most_patterned", std::to_string(most_patterned_tokens)},
        placeholder{"made", html_text(options.made)},
    };
    return {
        .title = fmt::format("{} \u00b7 xlens trace", text),
        .style = std::string(assets::trace_css),
        .body = fill(assets::trace_html, values),
        .data = detail::trace_page_data(positions, prompt, options.top, options.sub_updates,
                                        patterned ? options.patterns : nullptr)
                    .json(bytes),
        .script = fmt::format("\n{}", assets::trace_js),
    };
}

}  // namespace xlens
