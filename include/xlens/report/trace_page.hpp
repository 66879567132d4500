// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/report/html_page.hpp>
#include <xlens/report/trace_page_data.hpp>
#include <xlens/report/trace_page_script.hpp>
#include <xlens/report/trace_page_style.hpp>
#include <xlens/trace/trace.hpp>

#include <fmt/format.h>

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
};

namespace detail {

/// In the legend of a trace that has them.
inline constexpr const char* trace_page_exits =
    "<span id=\"exit-key\"><i class=\"key leaves\"></i>early exit: it would leave here</span>\n";

/// Where the script puts things; arguments: prompt, model, about, exits' key, layers, made.
inline constexpr const char* trace_page_body = R"html(<header class="top">
<div class="name"><h1><bdi>{}</bdi></h1><p class="about"><b>{}</b> {}</p></div>
<div class="legend" aria-label="Legend">
<span><i class="key cool"></i>final token, by probability</span>
<span><i class="key line"></i>saturation: it stays on top</span>
<span><i class="key warm"></i>any other token</span>
<span><i class="key notch"></i>elimination: rank 1 lost</span>
{}</div></header>
<main>
<div class="scroller"><table role="grid" id="grid" aria-label="Top token after each layer
(rows, {} of them) at each position (columns); arrow keys choose a cell"></table></div>
<section class="panel" id="cell" aria-label="The chosen cell">
<div class="title"><h2 id="where" aria-live="polite"></h2><div class="steps">
<button type="button" data-step="-1,0" aria-label="previous position">&#8592;</button>
<button type="button" data-step="0,-1" aria-label="layer before">&#8593;</button>
<button type="button" data-step="0,1" aria-label="next layer">&#8595;</button>
<button type="button" data-step="1,0" aria-label="next position">&#8594;</button>
</div></div>
<p class="summary" id="summary"></p>
<div class="sides"><h3>Before the FFN update</h3><h3>After it</h3>
<ul class="bars before" id="before" aria-label="Top tokens before the FFN update"></ul>
<svg id="lines" width="100%" height="230" aria-hidden="true"></svg>
<ul class="bars" id="after" aria-label="Top tokens after the FFN update"></ul></div>
<div class="changes">
<div><h3>Promoted</h3><ul id="promoted" aria-label="Promoted by the FFN update"></ul></div>
<div><h3>Eliminated &#10007;, demoted</h3>
<ul id="demoted" aria-label="Eliminated and demoted by the FFN update"></ul></div></div>
<h3>Dominant sub-updates m&#183;v</h3>
<div class="updates" id="updates" role="list" aria-label="Dominant sub-updates"></div>
<p class="note" id="none">The trace holds no sub-updates.</p>
<p class="note">m: coefficient; &#8214;v&#8214;: norm of the value vector; |m|&#8214;v&#8214;:
dominance. Where m &lt; 0 the sub-update promotes what v suppresses, and the lists are turned
around. Underlined: tokens that stand in the list after the update.</p>
<p class="note keys">Arrow keys, Page Up, Page Down, Home and End move in the grid.</p>
<p class="note">{}</p>
</section></main>
<noscript><p class="note">This page draws the trace with its own script; please allow it.</p>
</noscript>)html";

}  // namespace detail

/// A trace as a picture to explore: layers down, positions across, in each cell the top token after
/// the layer's FFN update with its probability as colour; saturation layers, eliminations and,
/// where the trace has them, early exits are marked. The chosen cell (mouse, touch, arrow keys)
/// shows the tokens before and after the update, what it promoted and eliminated, and its dominant
/// sub-updates with their concepts (Geva et al. 2022, figure 1).
///
/// `positions`: what `trace` made of `prompt`, one or all; `bytes(id)`: a token's exact bytes,
/// empty where there is no text. Throws xlens::error if there is no position. With 10 tokens a list
/// and 10 sub-updates a cell takes about 270 bytes, a value vector 110, a token 18: a prompt of 200
/// tokens in 30 layers makes a page of 4 MB. Write it with `write_page`.
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
    return {
        .title = fmt::format("{} \u00b7 xlens trace", text),
        .style = detail::trace_page_style,
        .body = fmt::format(detail::trace_page_body, html_text(text), html_text(options.model),
                            html_text(options.about),
                            positions.front().exit_layer ? detail::trace_page_exits : "",
                            positions.front().layers.size(), html_text(options.made)),
        .data = detail::trace_page_data(positions, prompt, options.top, options.sub_updates)
                    .json(bytes),
        .script = detail::trace_page_script,
    };
}

}  // namespace xlens
