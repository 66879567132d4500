// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/events/functional.hpp>
#include <xlens/events/functional_clusters.hpp>
#include <xlens/events/paper_figures.hpp>
#include <xlens/events/statistics.hpp>
#include <xlens/lens/logit_lens.hpp>

#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>

#if XLENS_DEFINES(report)
#include <xlens/report/html_page.hpp>

#include <fmt/format.h>
#endif

namespace xlens::detail {

/// "1.23 ± 0.04".
XLENS_API std::string mean_text(const clustered_mean& m, double scale = 1.0);

/// "1.23 ± 0.04 %".
XLENS_API std::string share_text(double part, double margin);

XLENS_API score_form report_form(projection form, bool centred);

/// Rows of the table beside the paper: what it is, this model, GPT-2, WikiLM. Figures of the paper
/// come from events/paper_figures.hpp; docs/findings.md says how well they are known.
class events_comparison {
public:
    events_comparison(const event_statistics& found, const functional_vectors& functional,
                      const functional_clusters* by_cluster, projection form)
        : m_found(&found), m_functional(&functional), m_by_cluster(by_cluster), m_form(form) {}

    [[nodiscard]] std::string rows() const;

private:
    static std::string row(std::string_view what, const std::string& ours,
                           const std::string& gpt2 = "", const std::string& wikilm = "");
    static std::string row(std::string_view what, const std::string& ours,
                           const paper_figure& paper);

    [[nodiscard]] const clustered_mean& mean(update_set set, std::size_t column) const;
    [[nodiscard]] std::string score(update_set set, score_group group, score_form f,
                                    std::size_t which) const;
    static constexpr std::size_t average = 0;  // `which` of update_columns::of
    static constexpr std::size_t largest = 1;

    [[nodiscard]] std::string saturations() const;
    [[nodiscard]] std::string eliminations() const;
    [[nodiscard]] std::string controls() const;
    [[nodiscard]] std::string changes() const;
    [[nodiscard]] std::string functional() const;

    const event_statistics* m_found;
    const functional_vectors* m_functional;
    const functional_clusters* m_by_cluster;
    projection m_form;
};

#if XLENS_DEFINES(report)

XLENS_API std::string mean_text(const clustered_mean& m, double scale) {
    if (std::isnan(m.mean())) { return "–"; }
    if (std::isnan(m.margin())) { return fmt::format("{:.3g}", m.mean() * scale); }
    return fmt::format("{:.2f} ± {:.2f}", m.mean() * scale, m.margin() * scale);
}

XLENS_API std::string share_text(double part, double margin) {
    if (std::isnan(margin)) { return fmt::format("{:.2f} %", 100.0 * part); }
    return fmt::format("{:.2f} ± {:.2f} %", 100.0 * part, 100.0 * margin);
}

XLENS_API score_form report_form(projection form, bool centred) {
    return static_cast<score_form>((form == projection::raw ? 2 : 0) + (centred ? 1 : 0));
}

XLENS_API std::string events_comparison::rows() const {
    using namespace paper_figures;
    return row("dominant sub-updates' share of a layer's |m|·‖v‖",
               mean_text(mean(update_set::all, update_columns::dominance_share), 100.0) + " %",
               dominance_share) +
           saturations() + eliminations() + controls() + changes() + functional();
}

XLENS_API std::string events_comparison::row(std::string_view what, const std::string& ours,
                                             const std::string& gpt2, const std::string& wikilm) {
    return fmt::format("<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td></tr>\n", html_text(what),
                       html_text(ours), html_text(gpt2), html_text(wikilm));
}

XLENS_API std::string events_comparison::row(std::string_view what, const std::string& ours,
                                             const paper_figure& paper) {
    return row(what, ours, std::string(paper.gpt2), std::string(paper.wikilm));
}

XLENS_API const clustered_mean& events_comparison::mean(update_set set, std::size_t column) const {
    const update_means& means = m_found->of(set);
    return means.of(means.layers(), column);
}

XLENS_API std::string events_comparison::score(update_set set, score_group group, score_form f,
                                               std::size_t which) const {
    return mean_text(mean(set, update_columns::of(group, f, which)));
}

XLENS_API std::string events_comparison::saturations() const {
    using namespace paper_figures;
    const auto of = [&](score_form f, std::size_t which) {
        return score(update_set::saturation, score_group::dominant, f, which);
    };
    return row("saturations: largest score of the promoted token",
               of(report_form(m_form, false), largest), saturation_largest) +
           row("saturations: the same, raw", of(score_form::raw, largest), saturation_largest) +
           row("saturations: mean score", of(report_form(m_form, false), average)) +
           row("saturations: mean score, centred", of(report_form(m_form, true), average));
}

XLENS_API std::string events_comparison::eliminations() const {
    using namespace paper_figures;
    const auto of = [&](bool centred, std::size_t which) {
        return score(update_set::elimination, score_group::dominant, report_form(m_form, centred),
                     which);
    };
    return row("eliminations: largest score of the dropped token", of(false, largest),
               elimination_largest) +
           row("eliminations: mean score", of(false, average), elimination_mean) +
           row("eliminations: mean score, centred", of(true, average));
}

XLENS_API std::string events_comparison::controls() const {
    using namespace paper_figures;
    const auto of = [&](score_group group, std::size_t which) {
        return score(update_set::saturation, group, report_form(m_form, false), which);
    };
    return row("random sub-updates: mean, saturations", of(score_group::random, average),
               paper_figures::random_scores) +
           row("random sub-updates: largest, saturations", of(score_group::random, largest),
               paper_figures::random_scores) +
           row("Gaussian vectors: mean, saturations", of(score_group::gaussian, average)) +
           row("Gaussian vectors: largest, saturations", of(score_group::gaussian, largest));
}

XLENS_API std::string events_comparison::changes() const {
    using enum update_set;
    return row("saturations: change in log p of the promoted token",
               mean_text(mean(saturation, update_columns::log_change))) +
           row("eliminations: change in log p of the dropped token",
               mean_text(mean(elimination, update_columns::log_change))) +
           row("saturations a position",
               fmt::format("{:.3f}", static_cast<double>(m_found->settled_counts[0]) /
                                         static_cast<double>(m_found->positions)));
}

XLENS_API std::string events_comparison::functional() const {
    using paper_figures::functional_share;
    std::string out;
    if (const functional_clusters* c = m_by_cluster) {
        out = row(fmt::format("value vectors in functional clusters ({} clusters)", c->clusters),
                  share_text(c->own.vectors, c->own.vectors_margin), functional_share) +
              row("the same in random clusters of these sizes",
                  share_text(c->shuffled.vectors, c->shuffled.vectors_margin));
    }
    const auto of_clusters = [](std::string_view figure) {
        return fmt::format("{} (clusters)", figure);
    };
    return out + row("functional value vectors, one by one",
                     share_text(m_functional->own.vectors, m_functional->own.vectors_margin),
                     of_clusters(functional_share.gpt2), of_clusters(functional_share.wikilm));
}

#endif

}  // namespace xlens::detail
