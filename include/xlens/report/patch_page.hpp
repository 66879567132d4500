// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/interventions/patch_grid.hpp>
#include <xlens/report/html_page.hpp>

#include <cstddef>
#include <string>
#include <vector>

#if XLENS_DEFINES(report)
#include <xlens/core/error.hpp>
#include <xlens/report/assets.hpp>
#include <xlens/report/fill.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#endif

namespace xlens {

/// What a page of patched runs says beside its numbers, plain text all of it.
struct patch_page_options {
    std::string model{};   ///< the model's name
    std::string about{};   ///< a line about it
    std::string made{};    ///< what it takes to make the page again
    std::string metric{};  ///< what the metric is
    std::string ablate{};  ///< how things were taken out; empty where they were patched
    std::string text{};    ///< the prompt
    std::vector<std::string> prompt{};  ///< a name a position of it
    std::vector<std::string> source{};  ///< of its partner in the source; may be empty
};

/// A grid of patched runs as a page: a heat map a site, layers down, positions or heads across, in
/// each cell the share of the way from the prompt's metric to the source's (without a source, or
/// where the two do not differ, the difference from the prompt's). Its looks: web/patch/. Throws
/// xlens::error unless there is a name for each position.
XLENS_API html_page patch_page(const patch_grid_result& grid, const patch_page_options& options);

#if XLENS_DEFINES(report)

namespace detail {

/// The heat maps of a page.
class patch_maps {
public:
    patch_maps(const patch_grid_result& grid, const patch_page_options& options)
        : m_grid(&grid), m_options(&options), m_shares(options.ablate.empty() && grid.has_scale()) {
        for (std::size_t i = 0; i < grid.places.size() && !m_shares; ++i) {
            for (std::size_t j = 0; j < grid.columns(); ++j) {
                m_full = std::max(m_full, std::abs(value(i, j)));
            }
        }
        if (m_shares) { m_full = 1.0; }
    }
    [[nodiscard]] bool shares() const { return m_shares; }
    [[nodiscard]] std::string text() const {
        std::string out;
        for (std::size_t i = 0; i < m_grid->places.size();) {
            const hook site = m_grid->places[i].site;
            std::size_t end = i;
            while (end < m_grid->places.size() && m_grid->places[end].site == site) { ++end; }
            out += fmt::format(
                "<figure><figcaption>{}</figcaption><div class=\"scroller\"><table>\n{}",
                patch_site_name(site), head());
            for (; i < end; ++i) { out += row(i); }
            out += "</tbody></table></div></figure>\n";
        }
        return out;
    }

private:
    [[nodiscard]] double value(std::size_t place, std::size_t column) const {
        return m_shares ? m_grid->normalised(place, column).value()
                        : m_grid->metric(place, column) - m_grid->prompt;
    }
    [[nodiscard]] std::string head() const {
        std::string out = "<thead><tr><th></th>";
        for (std::size_t h = 0; h < m_grid->heads; ++h) {
            out += fmt::format("<th><small>head</small><bdi>{}</bdi></th>", h);
        }
        if (m_grid->heads > 0) { return out + "</tr></thead><tbody>\n"; }
        for (const std::size_t p : m_grid->positions) {
            const std::string& own = m_options->prompt[p];
            const std::string& other = m_options->source[p];
            out += fmt::format(
                "<th{}><small>{}</small><bdi>{}</bdi>{}</th>",
                other.empty() || other == own ? "" : " class=\"differs\"", p, html_text(own),
                other.empty() || other == own
                    ? ""
                    : fmt::format("<bdi class=\"other\">{}</bdi>", html_text(other)));
        }
        return out + "</tr></thead><tbody>\n";
    }
    [[nodiscard]] std::string row(std::size_t i) const {
        std::string out = fmt::format("<tr><th>{}</th>", m_grid->places[i].layer);
        const bool heads = m_grid->heads > 0;
        for (std::size_t j = 0; j < m_grid->columns(); ++j) {
            const double v = value(i, j);
            const double depth = m_full > 0.0 ? std::min(1.0, std::abs(v) / m_full) : 0.0;
            out += fmt::format(
                "<td class=\"{}\" style=\"--p:{:.3f}\" title=\"{} {}, {} {}: {:.4g}; metric "
                "{:.6g}\">{:.2f}</td>",
                v < 0.0 ? "less" : "more", depth, patch_site_name(m_grid->places[i].site),
                m_grid->places[i].layer, heads ? "head" : "position",
                heads ? j : m_grid->positions[j], v, m_grid->metric(i, j),
                std::abs(v) < 0.005 ? 0.0 : v);
        }
        return out + "</tr>\n";
    }

    const patch_grid_result* m_grid;
    const patch_page_options* m_options;
    bool m_shares;
    double m_full = 0.0;
};

/// What the run of a cell is.
inline std::string runs_text(const patch_grid_result& grid, const patch_page_options& options) {
    if (grid.heads == 0) {
        return "one vector in the place of the prompt&#8217;s own, at a layer (down) and a "
               "position "
               "(across)";
    }
    const bool all = grid.positions.size() == options.prompt.size();
    return fmt::format(
        "the output of one head (across) of a layer (down) in the place of the prompt&#8217;s own, "
        "at {} together",
        all ? "all positions" : "positions " + joined(grid.positions, ", "));
}

}  // namespace detail

XLENS_API html_page patch_page(const patch_grid_result& grid, const patch_page_options& options) {
    for (const std::size_t p : grid.positions) {
        if (p >= options.prompt.size() || p >= options.source.size()) {
            fail("page of patches: position {}, of names for {} and {}", p, options.prompt.size(),
                 options.source.size());
        }
    }
    const detail::patch_maps maps(grid, options);
    const std::string title = options.ablate.empty() ? "Patching" : "Ablation: " + options.ablate;
    const std::array values{
        placeholder{"title", html_text(title)},
        placeholder{"prompt", html_text(options.text)},
        placeholder{"model", html_text(options.model)},
        placeholder{"about", html_text(options.about)},
        placeholder{"metric", html_text(options.metric)},
        placeholder{"of_prompt", fmt::format("{:.4f}", grid.prompt)},
        placeholder{"of_source", grid.source ? fmt::format(", of the source {:.4f}", *grid.source)
                                             : std::string()},
        placeholder{"runs", detail::runs_text(grid, options)},
        placeholder{"cells",
                    maps.shares()
                        ? "the share of the way from the prompt&#8217;s metric to the "
                          "source&#8217;s: (patched &#8722; prompt)/(source &#8722; prompt)"
                        : "the metric less that of the prompt as it is"},
        placeholder{"partner", grid.heads > 0
                                   ? ""
                                   : " A second token under a position is the source&#8217;s, "
                                     "where it differs."},
        placeholder{"maps", maps.text()},
        placeholder{"made", html_text(options.made)},
    };
    return {.title = fmt::format("{} \u00b7 xlens patch", options.text),
            .style = std::string(assets::patch_css),
            .body = fill(assets::patch_html, values)};
}

#endif

}  // namespace xlens
