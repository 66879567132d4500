// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/neuron.hpp>
#include <xlens/events/functional.hpp>
#include <xlens/events/functional_clusters.hpp>
#include <xlens/events/functional_rows.hpp>
#include <xlens/events/options.hpp>
#include <xlens/events/statistics.hpp>
#include <xlens/report/html_page.hpp>
#include <xlens/report/layer_chart.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

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

/// "1.23 ± 0.04".
inline std::string mean_text(const clustered_mean& m, double scale = 1.0) {
    if (std::isnan(m.mean())) { return "–"; }
    if (std::isnan(m.margin())) { return fmt::format("{:.3g}", m.mean() * scale); }
    return fmt::format("{:.2f} ± {:.2f}", m.mean() * scale, m.margin() * scale);
}

class event_report_body {
public:
    explicit event_report_body(const event_report& report)
        : m_report(&report), m_raw(report.options.form == projection::raw) {}

    [[nodiscard]] std::string text() const {
        return "<main>" + heading() + comparison() + figures() + functional() + by_cluster() +
               "</main>";
    }

private:
    [[nodiscard]] score_form form(bool centred) const {
        return static_cast<score_form>((m_raw ? 2 : 0) + (centred ? 1 : 0));
    }
    [[nodiscard]] const clustered_mean& mean(update_set set, std::size_t column) const {
        const update_means& means = m_report->found.of(set);
        return means.of(means.layers(), column);
    }
    [[nodiscard]] std::string score(update_set set, score_group group, score_form f,
                                    std::size_t which) const {
        return mean_text(mean(set, update_columns::of(group, f, which)));
    }

    [[nodiscard]] std::string heading() const {
        const event_report& r = *m_report;
        return fmt::format(
            "<h1>Promotion events</h1><p class=\"dim\">{}, on {}: {} positions in {} windows of "
            "{}; "
            "{} scores; intervals of 95 %, windows taken as independent.<br>{}</p>\n",
            html_text(r.model), html_text(r.text), r.found.positions, r.found.windows,
            r.options.window, m_raw ? "raw" : "folded", html_text(r.manifest));
    }

    static std::string row(std::string_view what, const std::string& ours, std::string_view gpt2,
                           std::string_view wikilm) {
        return fmt::format("<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                           html_text(what), html_text(ours), html_text(gpt2), html_text(wikilm));
    }

    static std::string share(double part, double margin) {
        if (std::isnan(margin)) { return fmt::format("{:.2f} %", 100.0 * part); }
        return fmt::format("{:.2f} ± {:.2f} %", 100.0 * part, 100.0 * margin);
    }

    /// Beside what is known of the paper's results: see docs/findings.md for how well.
    [[nodiscard]] std::string comparison() const {
        const event_statistics& found = m_report->found;
        const auto positions = static_cast<double>(found.positions);
        const auto& f = m_report->functional;
        const auto g = score_group::dominant;
        using enum update_set;
        std::string out =
            "<h2>Beside the paper</h2><p class=\"dim\">Geva et al. 2022 (arXiv 2203.14680), as "
            "reading notes by others report it; not checked against the paper itself. Its scores "
            "are raw, on models with other lengths of residuals: compare signs and orders, not "
            "sizes.</p><div class=\"wide\"><table><thead><tr><th></th><th>this model</th>"
            "<th>GPT-2</th><th>WikiLM</th></tr></thead><tbody>\n";
        out += row("dominant sub-updates' share of a layer's |m|·‖v‖",
                   mean_text(mean(all, update_columns::dominance_share), 100.0) + " %", "5–20 %",
                   "5–20 %");
        out += row("saturations: largest score of the promoted token",
                   score(saturation, g, form(false), 1), "8.5", "1.2");
        out += row("saturations: the same, raw", score(saturation, g, score_form::raw, 1), "8.5",
                   "1.2");
        out += row("saturations: mean score", score(saturation, g, form(false), 0), "", "");
        out += row("saturations: mean score, centred", score(saturation, g, form(true), 0), "", "");
        out +=
            row("eliminations: largest score of the dropped token",
                score(elimination, g, form(false), 1), "below saturations'", "below saturations'");
        out += row("eliminations: mean score", score(elimination, g, form(false), 0), "about 0",
                   "about 0");
        out +=
            row("eliminations: mean score, centred", score(elimination, g, form(true), 0), "", "");
        out +=
            row("random sub-updates: mean, saturations",
                score(saturation, score_group::random, form(false), 0), "very small", "very small");
        out +=
            row("random sub-updates: largest, saturations",
                score(saturation, score_group::random, form(false), 1), "very small", "very small");
        out += row("Gaussian vectors: mean, saturations",
                   score(saturation, score_group::gaussian, form(false), 0), "", "");
        out += row("Gaussian vectors: largest, saturations",
                   score(saturation, score_group::gaussian, form(false), 1), "", "");
        out += row("saturations: change in log p of the promoted token",
                   mean_text(mean(saturation, update_columns::log_change)), "", "");
        out += row("eliminations: change in log p of the dropped token",
                   mean_text(mean(elimination, update_columns::log_change)), "", "");
        out += row("saturations a position",
                   fmt::format("{:.3f}", static_cast<double>(found.settled_counts[0]) / positions),
                   "", "");
        if (const functional_clusters* c = m_report->by_cluster) {
            out +=
                row(fmt::format("value vectors in functional clusters ({} clusters)", c->clusters),
                    share(c->own.vectors, c->own.vectors_margin), "1.7 %", "1.1 %");
            out += row("the same in random clusters of these sizes",
                       share(c->shuffled.vectors, c->shuffled.vectors_margin), "", "");
        }
        out +=
            row("functional value vectors, one by one", share(f.own.vectors, f.own.vectors_margin),
                "1.7 % (clusters)", "1.1 % (clusters)");
        return out + "</tbody></table></div>\n";
    }

    [[nodiscard]] chart_series by_layer(const std::string& name, update_set set, std::size_t column,
                                        double scale = 1.0) const {
        chart_series out{.name = name};
        const update_means& means = m_report->found.of(set);
        for (std::size_t l = 0; l < means.layers(); ++l) {
            out.values.push_back(means.of(l, column).mean() * scale);
            out.margins.push_back(means.of(l, column).margin() * scale);
        }
        return out;
    }
    [[nodiscard]] chart_series counts(const std::string& name, update_set set) const {
        chart_series out{.name = name};
        for (std::size_t l = 0; l < m_report->found.layers; ++l) {
            out.values.push_back(100.0 * static_cast<double>(m_report->found.of(set).count(l)) /
                                 static_cast<double>(m_report->found.positions));
        }
        return out;
    }

    [[nodiscard]] std::string figures() const {
        const auto summary = [&](update_set set, score_group group, std::string_view what) {
            std::vector<chart_series> out;
            const std::string names[] = {"mean", "largest", "smallest"};
            for (std::size_t s = 0; s < 3; ++s) {
                out.push_back(by_layer(names[s], set, update_columns::of(group, form(false), s)));
            }
            return layer_chart(std::string(what), out);
        };
        chart_series extreme{.name = "extreme updates"};
        for (const std::uint64_t n : m_report->found.extreme_updates) {
            extreme.values.push_back(100.0 * static_cast<double>(n) /
                                     static_cast<double>(m_report->found.positions));
        }
        std::string out = "<h2>By layer</h2>\n";
        out += summary(update_set::all, score_group::dominant,
                       "Scores of the top candidate before the update, over the dominant "
                       "sub-updates (the paper: largest peaks in GPT-2's layers 3–5 and WikiLM's "
                       "4–11; smallest strongly negative in the last layers)");
        out += summary(update_set::all, score_group::random, "The same over random sub-updates");
        out += summary(update_set::saturation, score_group::dominant,
                       "Scores of the promoted token at saturations");
        out += summary(update_set::elimination, score_group::dominant,
                       "Scores of the dropped token at eliminations");
        out += layer_chart("Events, in % of positions",
                           {counts("eliminations", update_set::elimination),
                            counts("saturations", update_set::saturation)});
        out += layer_chart(
            "Share of a layer's update, in %",
            {by_layer("of Σ |m|·‖v‖", update_set::all, update_columns::dominance_share, 100.0),
             by_layer("‖partial sum‖ / ‖update‖", update_set::all, update_columns::norm_share,
                      100.0)});
        out += layer_chart(fmt::format("Updates with a score of ±{} or more, in % of positions",
                                       m_report->options.threshold),
                           {extreme});
        return out;
    }

    [[nodiscard]] std::string functional() const {
        const functional_vectors& f = m_report->functional;
        std::string out = fmt::format(
            "<h2>Where extreme scores come from</h2><p>{} scores of ±{} or more: {} promote the "
            "top "
            "candidate, {} suppress it. Of {} value vectors {} ever give one, {} give half of "
            "them, {} nine tenths, and {} give one at a position in {} or more often; these "
            "first:</p><div class=\"wide\"><table><thead><tr><th>neuron</th><th>dominant</th>"
            "<th>promotes</th><th>suppresses</th><th>its value vector promotes</th></tr></thead>"
            "<tbody>\n",
            f.promoting + f.suppressing, m_report->options.threshold, f.promoting, f.suppressing,
            m_report->found.neurons.size(), f.any, f.half, f.nine_tenths, f.often.size(),
            functional_rarest);
        for (std::size_t i = 0; i < std::min(m_report->promoted.size(), f.often.size()); ++i) {
            const functional_vector& v = f.often[i];
            out += fmt::format(
                "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td>"
                "<td class=\"tokens\"><bdi>{}</bdi></td></tr>\n",
                xlens::to_string(v.where), v.counts.dominant, v.counts.promotes,
                v.counts.suppresses, html_text(m_report->promoted[i]));
        }
        return out + "</tbody></table></div>\n";
    }

    [[nodiscard]] std::string by_cluster() const {
        if (m_report->by_cluster == nullptr) { return ""; }
        const functional_clusters& c = *m_report->by_cluster;
        chart_series alone{.name = "one by one"};
        chart_series together{.name = "in functional clusters"};
        for (std::size_t l = 0; l < c.by_layer.size(); ++l) {
            alone.values.push_back(static_cast<double>(m_report->functional.by_layer[l]));
            together.values.push_back(static_cast<double>(c.by_layer[l]));
        }
        std::string out = fmt::format(
            "<h2>The same by cluster</h2><p>Of {} clusters {} give an extreme score, {} with {} "
            "value vectors give half of them, {} with {} nine tenths. A cluster is functional if "
            "its members give one at a position in {} or more often, in the mean: {} clusters are, "
            "{} of them, with {} of all value vectors; in random clusters of the same sizes {} and "
            "{}.</p>\n",
            c.clusters, c.ranked.size(), c.half, c.half_vectors, c.nine_tenths,
            c.nine_tenths_vectors, functional_rarest, c.often,
            share(c.own.groups, c.own.groups_margin), share(c.own.vectors, c.own.vectors_margin),
            share(c.shuffled.groups, c.shuffled.groups_margin),
            share(c.shuffled.vectors, c.shuffled.vectors_margin));
        out += layer_chart("Functional value vectors", {alone, together});
        out +=
            "<div class=\"wide\"><table><thead><tr><th>cluster</th><th>size</th><th>functional</th>"
            "<th>layers</th><th>promotes</th><th>suppresses</th><th>its centroid promotes</th></tr>"
            "</thead><tbody>\n";
        for (std::size_t i = 0; i < m_report->cluster_concepts.size(); ++i) {
            const functional_cluster& one = c.ranked[i];
            out += fmt::format(
                "<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>"
                "<td class=\"tokens\"><bdi>{}</bdi></td></tr>\n",
                one.id, one.size, one.functional_members, layers_text(one.by_layer), one.promotes,
                one.suppresses, html_text(m_report->cluster_concepts[i]));
        }
        return out + "</tbody></table></div>\n";
    }

    const event_report* m_report;
    bool m_raw;
};

inline constexpr std::string_view event_report_style = R"css(
main { max-width: 860px; margin: 0 auto; padding: 20px 16px 60px; }
h1 { font-size: 24px; } h2 { font-size: 18px; margin: 30px 0 8px; }
p { margin: 8px 0; } .dim { color: var(--dim); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; background: var(--panel); }
th, td { text-align: right; padding: 4px 8px; border-bottom: 1px solid var(--line);
  white-space: nowrap; font-weight: normal; }
thead th { color: var(--dim); } th:first-child, .tokens { text-align: left; white-space: normal; }
.tokens { font-family: var(--mono); font-size: 12px; }
figure { background: var(--panel); border: 1px solid var(--line); padding: 12px; margin: 14px 0; }
@media (max-width: 600px) {
  table { font-size: 12px; } th, td { white-space: normal; padding: 4px; } }
)css";

}  // namespace detail

/// The report as a page that needs nothing else: a table beside the paper's, figures by layer, and
/// the value vectors behind extreme scores.
inline std::string event_report_page(const event_report& report) {
    const std::string style = std::string(chart_style) + std::string(detail::event_report_style);
    html_page page;
    page.title = "Promotion events: " + report.model;
    page.style = style;
    page.body = detail::event_report_body(report).text();
    return to_string(page);
}

}  // namespace xlens
