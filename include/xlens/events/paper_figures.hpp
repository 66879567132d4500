// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>

#include <array>
#include <string>
#include <string_view>

namespace xlens {

/// A result of Geva et al. 2022 (arXiv 2203.14680) on promotion events, word for word as the pages
/// and docs/findings.md print it. The paper itself could not be read for this table: every figure
/// is what reading notes by others report, and none is checked against the paper.
struct paper_figure {
    std::string_view claim;
    std::string_view gpt2;
    std::string_view wikilm;
    std::string_view place;   ///< in the paper, as far as the notes say
    std::string_view source;  ///< whose notes

    /// "8.5, 1.2": GPT-2, WikiLM; one of them where both are alike.
    [[nodiscard]] std::string both() const;
};

/// The one place of these figures: the events page asks for them by name, and a test compares
/// docs/findings.md with `all`.
namespace paper_figures {

namespace detail {
inline constexpr std::string_view section = "section 5";
inline constexpr std::string_view by_layer = "section 5, figure by layer";
inline constexpr std::string_view english = "English notes";
inline constexpr std::string_view chinese = "Chinese notes";
inline constexpr std::string_view notes = "English and Chinese notes";
}  // namespace detail

/// The notes give one range and name no model; ten are 0.24 % of a layer of 4096.
inline constexpr paper_figure dominance_share{
    "The ten dominant sub-updates' share of a layer's Σ |m_i|·‖v_i‖", "5–20 %", "5–20 %",
    detail::section, detail::english};
/// Raw. That it is a mean over events is our reading of the notes.
inline constexpr paper_figure saturation_largest{
    "Saturation: the promoted token's largest score over the dominant sub-updates", "8.5", "1.2",
    detail::section, detail::english};
inline constexpr paper_figure elimination_largest{"Elimination: the dropped token's largest score",
                                                  "below saturations'", "below saturations'",
                                                  detail::section, detail::chinese};
inline constexpr paper_figure elimination_mean{
    "Elimination: the dropped token's mean score, so that it is overtaken, not pushed down",
    "about 0", "about 0", detail::section, detail::notes};
inline constexpr paper_figure random_scores{"Scores of random sub-updates", "very small",
                                            "very small", detail::section, detail::notes};
inline constexpr paper_figure peak_layers{"Layers in which the top candidate's largest score peaks",
                                          "3–5", "4–11", detail::by_layer, detail::chinese};
inline constexpr paper_figure last_layers{"The top candidate's smallest score in the last layers",
                                          "strongly negative", "strongly negative",
                                          detail::by_layer, detail::chinese};
inline constexpr paper_figure extreme_threshold{"Scores that count as extreme", "±10", "±5",
                                                detail::section, detail::chinese};
/// Agglomerative, by cosine distance.
inline constexpr paper_figure clusters{"Clusters of value vectors", "10,000", "10,000",
                                       detail::section, detail::chinese};
inline constexpr paper_figure functional_share{
    "Value vectors in the functional clusters, which are behind the extreme scores", "1.7 %",
    "1.1 %", detail::section, detail::english};
inline constexpr paper_figure functional_kinds{
    "Kinds of functional value vectors",
    "rare tokens in upper layers; common tokens and stop words in all",
    "rare tokens in upper layers; common tokens and stop words in all", detail::section,
    detail::notes};

inline constexpr std::array all{dominance_share,  saturation_largest, elimination_largest,
                                elimination_mean, random_scores,      peak_layers,
                                last_layers,      extreme_threshold,  clusters,
                                functional_share, functional_kinds};

}  // namespace paper_figures

#if XLENS_DEFINES(events)

XLENS_API std::string paper_figure::both() const {
    std::string out(gpt2);
    if (wikilm != gpt2) { out.append(", ").append(wikilm); }
    return out;
}

#endif

}  // namespace xlens
