// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/events/functional.hpp>
#include <xlens/events/functional_clusters.hpp>
#include <xlens/events/options.hpp>
#include <xlens/events/statistics.hpp>
#include <xlens/report/events_comparison.hpp>
#include <xlens/report/html_page.hpp>
#include <xlens/report/layer_chart.hpp>

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(report)
#include <xlens/events/functional_rows.hpp>
#include <xlens/events/paper_figures.hpp>
#include <xlens/report/assets.hpp>
#include <xlens/report/fill.hpp>

#include <algorithm>
#endif

namespace xlens {

/// What the report of a run of `events` is made of. Texts are plain.
struct event_report {
    std::string model;
    std::string text;      ///< name of the text
    std::string manifest;  ///< what it takes to repeat the run
    event_options options;
    const event_statistics& found;
    const functional_vectors& functional;
    std::vector<std::string> promoted;  ///< what functional.often[i] promotes, for the first ones
    const functional_clusters* by_cluster = nullptr;  ///< if clusters were counted
    std::vector<std::string> cluster_concepts =
        {};  ///< what by_cluster->ranked[i] promotes, likewise
};

namespace detail {

/// The report's figures by layer.
class event_charts {
public:
    explicit event_charts(const event_report& report) : m_report(&report) {}

    [[nodiscard]] std::string text() const;

private:
    [[nodiscard]] chart_series mean(const std::string& name, update_set set, std::size_t column,
                                    double scale = 1.0) const;
    [[nodiscard]] std::string scores(update_set set, score_group group,
                                     const std::string& caption) const;
    [[nodiscard]] std::vector<std::uint64_t> counts(update_set set) const;
    /// In % of positions.
    [[nodiscard]] chart_series share(const std::string& name,
                                     const std::vector<std::uint64_t>& count) const;

    const event_report* m_report;
};

/// "<tr><th>1:2</th><td>3</td>..": numbers, and last what is promoted.
template <class... Numbers>
std::string event_row(const std::string& name, const std::string& promoted,
                      const Numbers&... numbers) {
    std::string out = fmt::format("<tr><th>{}</th>", name);
    ((out += fmt::format("<td>{}</td>", numbers)), ...);
    out += fmt::format("<td class=\"tokens\"><bdi>{}</bdi></td></tr>\n", html_text(promoted));
    return out;
}

XLENS_API std::string functional_rows_text(const event_report& r);

/// web/events/by_cluster.html; empty where no clusters were counted.
XLENS_API std::string by_cluster_text(const event_report& r);

}  // namespace detail

/// The report as a page that needs nothing else (web/events/): a table beside the paper's, figures
/// by layer, and the value vectors behind extreme scores.
XLENS_API std::string event_report_page(const event_report& report);

#if XLENS_DEFINES(report)

namespace detail {

XLENS_API std::string event_charts::text() const {
    using enum update_set;
    const auto dominant = score_group::dominant;
    std::string out =
        scores(all, dominant,
               fmt::format("Scores of the top candidate before the update, over the dominant "
                           "sub-updates (the paper: largest peaks in GPT-2's layers {} and "
                           "WikiLM's {}; smallest {} in the last layers)",
                           paper_figures::peak_layers.gpt2, paper_figures::peak_layers.wikilm,
                           paper_figures::last_layers.gpt2));
    out += scores(all, score_group::random, "The same over random sub-updates");
    out += scores(saturation, dominant, "Scores of the promoted token at saturations");
    out += scores(elimination, dominant, "Scores of the dropped token at eliminations");
    out += layer_chart("Events, in % of positions", {share("eliminations", counts(elimination)),
                                                     share("saturations", counts(saturation))});
    out += layer_chart("Share of a layer's update, in %",
                       {mean("of Σ |m|·‖v‖", all, update_columns::dominance_share, 100.0),
                        mean("‖partial sum‖ / ‖update‖", all, update_columns::norm_share, 100.0)});
    out += layer_chart(fmt::format("Updates with a score of ±{} or more, in % of positions",
                                   m_report->options.threshold),
                       {share("extreme updates", m_report->found.extreme_updates)});
    return out;
}

XLENS_API chart_series event_charts::mean(const std::string& name, update_set set,
                                          std::size_t column, double scale) const {
    chart_series out{.name = name};
    const update_means& means = m_report->found.of(set);
    for (std::size_t l = 0; l < means.layers(); ++l) {
        out.values.push_back(means.of(l, column).mean() * scale);
        out.margins.push_back(means.of(l, column).margin() * scale);
    }
    return out;
}

XLENS_API std::string event_charts::scores(update_set set, score_group group,
                                           const std::string& caption) const {
    const score_form form = report_form(m_report->options.form, false);
    std::vector<chart_series> out;
    const std::string names[] = {"mean", "largest", "smallest"};
    for (std::size_t s = 0; s < 3; ++s) {
        out.push_back(mean(names[s], set, update_columns::of(group, form, s)));
    }
    return layer_chart(caption, out);
}

XLENS_API std::vector<std::uint64_t> event_charts::counts(update_set set) const {
    std::vector<std::uint64_t> out;
    for (std::size_t l = 0; l < m_report->found.layers; ++l) {
        out.push_back(m_report->found.of(set).count(l));
    }
    return out;
}

XLENS_API chart_series event_charts::share(const std::string& name,
                                           const std::vector<std::uint64_t>& count) const {
    chart_series out{.name = name};
    for (const std::uint64_t n : count) {
        out.values.push_back(100.0 * static_cast<double>(n) /
                             static_cast<double>(m_report->found.positions));
    }
    return out;
}

XLENS_API std::string functional_rows_text(const event_report& r) {
    std::string out;
    for (std::size_t i = 0; i < std::min(r.promoted.size(), r.functional.often.size()); ++i) {
        const functional_vector& v = r.functional.often[i];
        out += event_row(xlens::to_string(v.where), r.promoted[i], v.counts.dominant,
                         v.counts.promotes, v.counts.suppresses);
    }
    return out;
}

XLENS_API std::string by_cluster_text(const event_report& r) {
    if (r.by_cluster == nullptr) { return ""; }
    const functional_clusters& c = *r.by_cluster;
    chart_series alone{.name = "one by one"};
    chart_series together{.name = "in functional clusters"};
    for (std::size_t l = 0; l < c.by_layer.size(); ++l) {
        alone.values.push_back(static_cast<double>(r.functional.by_layer[l]));
        together.values.push_back(static_cast<double>(c.by_layer[l]));
    }
    std::string rows;
    for (std::size_t i = 0; i < r.cluster_concepts.size(); ++i) {
        const functional_cluster& one = c.ranked[i];
        rows += event_row(std::to_string(one.id), r.cluster_concepts[i], one.size,
                          one.functional_members, layers_text(one.by_layer), one.promotes,
                          one.suppresses);
    }
    const std::array values{
        placeholder{"clusters", std::to_string(c.clusters)},
        placeholder{"any", std::to_string(c.ranked.size())},
        placeholder{"half", std::to_string(c.half)},
        placeholder{"half_vectors", std::to_string(c.half_vectors)},
        placeholder{"nine_tenths", std::to_string(c.nine_tenths)},
        placeholder{"nine_tenths_vectors", std::to_string(c.nine_tenths_vectors)},
        placeholder{"rarest", std::to_string(functional_rarest)},
        placeholder{"often", std::to_string(c.often)},
        placeholder{"own_clusters", share_text(c.own.groups, c.own.groups_margin)},
        placeholder{"own_vectors", share_text(c.own.vectors, c.own.vectors_margin)},
        placeholder{"random_clusters", share_text(c.shuffled.groups, c.shuffled.groups_margin)},
        placeholder{"random_vectors", share_text(c.shuffled.vectors, c.shuffled.vectors_margin)},
        placeholder{"chart", layer_chart("Functional value vectors", {alone, together})},
        placeholder{"rows", rows},
    };
    return fill(assets::by_cluster_html, values);
}

}  // namespace detail

XLENS_API std::string event_report_page(const event_report& report) {
    const event_statistics& found = report.found;
    const functional_vectors& f = report.functional;
    const std::array values{
        placeholder{"model", html_text(report.model)},
        placeholder{"text", html_text(report.text)},
        placeholder{"manifest", html_text(report.manifest)},
        placeholder{"positions", std::to_string(found.positions)},
        placeholder{"windows", std::to_string(found.windows)},
        placeholder{"window", std::to_string(report.options.window)},
        placeholder{"form", report.options.form == projection::raw ? "raw" : "folded"},
        placeholder{
            "comparison",
            detail::events_comparison(found, f, report.by_cluster, report.options.form).rows()},
        placeholder{"charts", detail::event_charts(report).text()},
        placeholder{"extremes", std::to_string(f.promoting + f.suppressing)},
        placeholder{"threshold", fmt::format("{}", report.options.threshold)},
        placeholder{"promoting", std::to_string(f.promoting)},
        placeholder{"suppressing", std::to_string(f.suppressing)},
        placeholder{"vectors", std::to_string(found.neurons.size())},
        placeholder{"any", std::to_string(f.any)},
        placeholder{"half", std::to_string(f.half)},
        placeholder{"nine_tenths", std::to_string(f.nine_tenths)},
        placeholder{"often", std::to_string(f.often.size())},
        placeholder{"rarest", std::to_string(functional_rarest)},
        placeholder{"neurons", detail::functional_rows_text(report)},
        placeholder{"by_cluster", detail::by_cluster_text(report)},
    };
    return to_string(
        html_page{.title = "Promotion events: " + report.model,
                  .style = fmt::format("{}\n{}", assets::chart_css, assets::events_css),
                  .body = fill(assets::events_html, values)});
}

#endif

}  // namespace xlens
