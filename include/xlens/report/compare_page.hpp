// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/compare/comparison.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/function_ref.hpp>
#include <xlens/core/types.hpp>
#include <xlens/report/html_page.hpp>

#include <string>

#if XLENS_DEFINES(report)
#include <xlens/core/neuron.hpp>
#include <xlens/report/assets.hpp>
#include <xlens/report/fill.hpp>
#include <xlens/report/layer_chart.hpp>

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string_view>
#include <vector>
#endif

namespace xlens {

/// What a page of a comparison says besides it. Texts are plain.
struct compare_page_options {
    std::string a{};  ///< the models' names, with what B's edits are
    std::string b{};
    std::string about_a{};  ///< a line about each: architecture, sizes
    std::string about_b{};
    std::string text{};  ///< the text's name
    std::string made{};  ///< what it takes to make the page again
};

/// A comparison as a page: its figures, charts of the layers, the positions where the predictions
/// differ most with what both models expect there, and the value vectors that are least alike. Its
/// looks: web/compare/. `label(id)` is a token so that it can be seen (visible). Write it with
/// `write_page`.
XLENS_API html_page compare_page(const comparison& found, const compare_page_options& options,
                                 function_ref<std::string(token_id)> label);

#if XLENS_DEFINES(report)

namespace detail {

using token_label_ref = function_ref<std::string(token_id)>;

/// "0.0123 ± 0.0004"; without an error where that is not known.
inline std::string estimate_text(const mean_estimate& e, double scale = 1.0,
                                 std::string_view unit = "") {
    std::string out = fmt::format("{:.4g}{}", scale * e.mean, unit);
    if (std::isfinite(e.error)) { out += fmt::format(" ± {:.2g}{}", scale * e.error, unit); }
    return out;
}

inline std::string percent_text(double share) { return fmt::format("{:.2f} %", 100.0 * share); }

/// Tokens in a cell, a small number after each.
class token_cell {
public:
    explicit token_cell(token_label_ref label) : m_label(label) {}

    void add(token_id id, std::string_view number, bool next = false) {
        m_text += fmt::format("<span{}><bdi>{}</bdi> <small>{}</small></span> ",
                              next ? " class=\"next\"" : "", html_text(m_label(id)), number);
    }
    [[nodiscard]] std::string cell() const {
        return fmt::format("<td class=\"tokens\">{}</td>", m_text);
    }
    [[nodiscard]] const std::string& text() const { return m_text; }

private:
    token_label_ref m_label;
    std::string m_text;
};

/// What a model expects at a position; the token that follows stands out.
inline token_cell expected(const reading& r, token_id next, token_label_ref label) {
    token_cell out(label);
    for (const scored& s : r.top) {
        out.add(s.id, fmt::format("{:.1f} %", 100.0F * r.probability(s)), s.id == next);
    }
    return out;
}

inline std::string position_row(const compared_position& p, token_label_ref label) {
    token_cell text(label);
    text.add(p.read, "→");
    text.add(p.next, "", true);
    return fmt::format("<tr><td>{:.4g}</td><td>{}</td>{}<td>{}</td><td>{}</td>{}{}</tr>\n", p.kl,
                       p.predicted, text.cell(), percent_text(std::exp(p.log_a)),
                       percent_text(std::exp(p.log_b)), expected(p.a, p.next, label).cell(),
                       expected(p.b, p.next, label).cell());
}

inline std::string compared_end_text(const output_difference& o, token_label_ref label) {
    if (!o.end) { return ""; }
    return fmt::format(
        "<h2>After the text</h2>\n<dl><dt>KL(A‖B)</dt><dd>{:.4g} nats</dd>\n"
        "<dt>A expects</dt><dd class=\"tokens\">{}</dd>\n"
        "<dt>B expects</dt><dd class=\"tokens\">{}</dd></dl>\n",
        o.end->kl, expected(o.end->a, -1, label).text(), expected(o.end->b, -1, label).text());
}

/// A line of a chart: `pick(layer)` of every layer.
template <class Pick>
chart_series layer_series(std::string name, const std::vector<layer_difference>& layers,
                          Pick pick) {
    chart_series out{.name = std::move(name)};
    for (const layer_difference& l : layers) { out.values.push_back(pick(l)); }
    return out;
}

inline std::string layer_charts(const comparison& found) {
    const auto series = [&](const char* name, auto pick) {
        return layer_series(name, found.layers, pick);
    };
    using layer = const layer_difference&;
    std::string out = layer_chart("KL(A‖B) of the readings, in nats",
                                  {series("KL", [](layer l) { return l.kl; })});
    out += layer_chart(
        "Agreement, in %",
        {series("top token of the readings", [](layer l) { return 100.0 * l.agreement; }),
         series("dominant sub-updates", [](layer l) { return 100.0 * l.overlap; })});
    out +=
        layer_chart("Residuals", {series("‖x_B − x_A‖ / ‖x_A‖", [](layer l) { return l.distance; }),
                                  series("1 − cosine", [](layer l) { return 1.0 - l.cosine; })});
    out += layer_chart("Coefficients of shared dominant sub-updates",
                       {series("|Δm| / |m|", [](layer l) { return l.coefficient_change; })});
    if (found.values_left_out.empty()) {
        out += layer_chart("Value vectors: 1 − cosine",
                           {series("mean", [](layer l) { return 1.0 - l.values->cosine; }),
                            series("largest", [](layer l) { return 1.0 - l.values->least; })});
        out += layer_chart(
            "Promoted tokens that are shared, in %",
            {series("of a sample", [](layer l) { return 100.0 * l.values->promoted; })});
    }
    return out;
}

inline std::string compared_layers_text(const comparison& found) {
    if (!found.left_out.empty()) {
        return fmt::format("<p class=\"dim\">Layers left out: {}.</p>\n",
                           html_text(found.left_out));
    }
    const saturation_difference& s = *found.saturation;
    const std::array values{
        placeholder{"saturation_a", fmt::format("{:.2f}", s.a)},
        placeholder{"saturation_b", fmt::format("{:.2f}", s.b)},
        placeholder{"shift", fmt::format("{:+.3f}", s.shift)},
        placeholder{"unchanged", percent_text(s.unchanged)},
        placeholder{"charts", layer_charts(found)},
    };
    return fill(assets::compare_layers_html, values);
}

inline std::string compared_values_text(const comparison& found, token_label_ref label) {
    if (found.values.empty()) { return ""; }
    std::string rows;
    for (const compared_value& v : found.values) {
        const auto tokens = [&](const std::vector<scored>& promoted) {
            token_cell out(label);
            for (const scored& s : promoted) { out.add(s.id, fmt::format("{:.2f}", s.score)); }
            return out.cell();
        };
        rows += fmt::format("<tr><td>{}</td><td>{:.4f}</td><td>{:.0f} %</td>{}{}</tr>\n",
                            xlens::to_string(v.where), v.cosine, 100.0 * v.promoted, tokens(v.a),
                            tokens(v.b));
    }
    return fill(assets::compare_values_html, std::array{placeholder{"rows", rows}});
}

}  // namespace detail

XLENS_API html_page compare_page(const comparison& found, const compare_page_options& options,
                                 function_ref<std::string(token_id)> label) {
    const output_difference& o = found.output;
    std::string largest;
    for (const compared_position& p : o.largest) { largest += detail::position_row(p, label); }
    const auto number = [](double x) { return fmt::format("{:.4g}", x); };
    const std::array values{
        placeholder{"a", html_text(options.a)},
        placeholder{"b", html_text(options.b)},
        placeholder{"about_a", html_text(options.about_a)},
        placeholder{"about_b", html_text(options.about_b)},
        placeholder{"text", html_text(options.text)},
        placeholder{"made", html_text(options.made)},
        placeholder{"positions", std::to_string(o.positions)},
        placeholder{"kl", detail::estimate_text(o.kl)},
        placeholder{"median", number(o.kl_median)},
        placeholder{"p95", number(o.kl_95)},
        placeholder{"p99", number(o.kl_99)},
        placeholder{"max", number(o.kl_max)},
        placeholder{"agreement", detail::estimate_text(o.agreement, 100.0, " %")},
        placeholder{"log_change", number(o.log_change)},
        placeholder{"change", detail::estimate_text(o.probability_change, 100.0, " %")},
        placeholder{"rms", detail::percent_text(o.probability_rms)},
        placeholder{"perplexity_a", fmt::format("{:.4f}", o.perplexity_a())},
        placeholder{"perplexity_b", fmt::format("{:.4f}", o.perplexity_b())},
        placeholder{"ratio", detail::estimate_text(o.ratio())},
        placeholder{"end", detail::compared_end_text(o, label)},
        placeholder{"layers", detail::compared_layers_text(found)},
        placeholder{"largest", largest},
        placeholder{"values", detail::compared_values_text(found, label)},
    };
    return {.title = fmt::format("{} and {} \u00b7 xlens compare", options.a, options.b),
            .style = fmt::format("{}\n{}", assets::chart_css, assets::compare_css),
            .body = fill(assets::compare_html, values)};
}

#endif

}  // namespace xlens
