// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/token.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/early_exit/exit_file.hpp>
#include <xlens/early_exit/exit_rule.hpp>
#include <xlens/early_exit/rule_facts.hpp>
#include <xlens/hooks/answer.hpp>
#include <xlens/lens/linear_lens.hpp>
#include <xlens/numerics/logistic_regression.hpp>
#include <xlens/storage/rounded_matrix.hpp>
#include <xlens/storage/rows.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <xlens/core/error.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/softmax.hpp>

#include <algorithm>
#endif

namespace xlens::early_exit {

/// Ours: a decision in two steps that needs no unembedding, at a few fixed layers with a tuned
/// lens.
///   1. a linear gate on the residual, g = ⟨w, x̂⟩ + c: one dot product. Below `least`, go on.
///   2. the lens, read in a shortlist of frequent tokens alone, z = E_S·ŷ: the best score, its lead
///      over the second, and the log-odds of the best within the shortlist, with g make four
///      features of a logistic regression p of agreement with the whole model.
/// The score is 1 - (1 - p)/(L - 1 - l): expected disagreement a layer saved, so that one threshold
/// spends the errors where they save most. Cost: D multiply-adds, and D² + |S|·D for the positions
/// that pass the gate, where a layer of SmolLM2-135M costs 3.5 million and an unembedding 28; both
/// in 8 bits, for what they read of memory counts. The token it names is the best of the shortlist.
class exit_gate {
public:
    static constexpr rule_facts facts{.name = "gate"};
    static constexpr std::string_view name = facts.name;
    static constexpr std::size_t features = 4;

    struct stage {
        logistic first;      ///< of x̂ (D)
        float least = 0.0F;  ///< of its log-odds
        logistic second;     ///< of the four features
    };

    /// `shortlist` (S, D): γ⊙e_w of the `tokens`. `layers`: L of the model.
    exit_gate(linear_lens lens, std::vector<token_id> tokens, xt::xtensor<float, 2> shortlist,
              std::size_t layers);

    void set(std::size_t layer, stage s) { m_stages.insert_or_assign(layer, std::move(s)); }

    /// What the second step sees of positions.
    struct second_look {
        xt::xtensor<float, 2> features;  ///< (N, 4)
        std::vector<named_token> best;   ///< of the shortlist (N)
    };

    /// The second step's look at positions x (N, D) after a layer, given their g.
    [[nodiscard]] second_look look(std::size_t layer, rows<const float> x,
                                   std::span<const float> g) const;

    [[nodiscard]] exit_needs needs() const { return {}; }
    void begin(std::size_t count) { m_answers.assign(count, std::nullopt); }
    void score(const exit_view& view, std::span<float> scores);
    /// The best of the shortlist.
    [[nodiscard]] std::optional<named_token> answer(std::size_t t) const;
    void translate(std::size_t layer, rows<float> x) const { m_lens.translate(layer, x); }

    void save(exit_writer& to) const;
    static exit_gate load(exit_reader& from, const exit_sizes& sizes);

private:
    /// z = E_S·ŷ (N, S) in 8 bits: products that a decision waits for.
    [[nodiscard]] xt::xtensor<float, 2> shortlist_scores(std::size_t layer,
                                                         rows<const float> x) const;
    /// Where the best score stands, and how far it is above the second.
    static std::pair<std::size_t, float> best_and_lead(std::span<const float> z);

    linear_lens m_lens;
    std::vector<token_id> m_tokens;
    xt::xtensor<float, 2> m_shortlist;
    std::size_t m_layers;
    rounded_matrix m_rounded_shortlist;
    std::map<std::size_t, rounded_matrix> m_rounded_lens;
    std::map<std::size_t, stage> m_stages;
    xt::xtensor<float, 2> m_unit;        // reused from pass to pass
    std::vector<std::size_t> m_passing;  // likewise
    std::vector<float> m_g;
    std::vector<std::optional<named_token>> m_answers;
};

#if XLENS_DEFINES(early_exit)

XLENS_API exit_gate::exit_gate(linear_lens lens, std::vector<token_id> tokens,
                               xt::xtensor<float, 2> shortlist, std::size_t layers)
    : m_lens(std::move(lens)),
      m_tokens(std::move(tokens)),
      m_shortlist(std::move(shortlist)),
      m_layers(layers),
      m_rounded_shortlist(m_shortlist) {
    for (const auto& [layer, t] : m_lens.layers()) {
        m_rounded_lens.emplace(layer, rounded_matrix(t.weights));
    }
}

XLENS_API exit_gate::second_look exit_gate::look(std::size_t layer, rows<const float> x,
                                                 std::span<const float> g) const {
    const xt::xtensor<float, 2> z = shortlist_scores(layer, x);
    second_look out{xt::empty<float>({x.count(), features}), {}};
    for (std::size_t n = 0; n < x.count(); ++n) {
        const std::span<const float> row = rows<const float>(z)[n];
        const auto [best, lead] = best_and_lead(row);
        const float doubt = kernels::log_sum_exp(row) - row[best];  // -log p in the shortlist
        out.features(n, 0) = g[n];
        out.features(n, 1) = row[best];
        out.features(n, 2) = std::min(lead, 20.0F);
        out.features(n, 3) = std::log(std::expm1(std::clamp(doubt, 1e-6F, 20.0F)));
        out.best.push_back({m_tokens[best], std::exp(-doubt)});
    }
    return out;
}

XLENS_API void exit_gate::score(const exit_view& view, std::span<float> scores) {
    std::ranges::fill(scores, never_exits);
    m_answers.assign(scores.size(), std::nullopt);
    const auto found = m_stages.find(view.layer);
    if (found == m_stages.end()) { return; }
    const stage& s = found->second;
    const std::size_t width = view.residual.width();
    m_unit.resize({scores.size(), width});
    unit_rms(view.residual, m_unit);
    m_passing.clear();
    m_g.clear();
    for (std::size_t t = 0; t < scores.size(); ++t) {
        const float g = s.first.log_odds(rows<const float>(m_unit)[t]);
        if (g < s.least) { continue; }
        m_passing.push_back(t);
        m_g.push_back(g);
    }
    if (m_passing.empty()) { return; }
    m_unit.resize({m_passing.size(), width});
    for (std::size_t i = 0; i < m_passing.size(); ++i) {
        std::ranges::copy(view.residual[m_passing[i]], rows<float>(m_unit)[i].begin());
    }
    const second_look seen = look(view.layer, m_unit, m_g);
    const auto saved = static_cast<float>(m_layers - 1 - view.layer);
    for (std::size_t i = 0; i < m_passing.size(); ++i) {
        const float p = s.second.probability(rows<const float>(seen.features)[i]);
        scores[m_passing[i]] = 1.0F - (1.0F - p) / saved;
        m_answers[m_passing[i]] = seen.best[i];
    }
}

XLENS_API std::optional<named_token> exit_gate::answer(std::size_t t) const {
    return t < m_answers.size() ? m_answers[t] : std::nullopt;
}

XLENS_API void exit_gate::save(exit_writer& to) const {
    to.lens(m_lens);
    to.list(m_tokens);
    to.list(std::vector<float>(m_shortlist.begin(), m_shortlist.end()));
    to.size(m_stages.size());
    for (const auto& [layer, s] : m_stages) {
        to.size(layer);
        to.regression(s.first);
        to.value(s.least);
        to.regression(s.second);
    }
}

XLENS_API exit_gate exit_gate::load(exit_reader& from, const exit_sizes& sizes) {
    const std::size_t width = sizes.width;
    linear_lens lens = from.lens(sizes.layers, width);
    for (const auto& [layer, t] : lens.layers()) {
        if (t.how != translation::of_unit || t.bias.size() != width) {
            fail("{}: exit rule: lens of layer {}: expected one of xlens, with a bias", from.name(),
                 layer);
        }
    }
    auto tokens = from.list<token_id>("tokens");
    const std::string field = from.name() + ": exit rule";
    for (const token_id t : tokens) { check_token(t, sizes.vocabulary, field); }
    if (tokens.empty()) { fail("{}: exit rule: tokens: expected at least 1", from.name()); }
    const auto values = from.list<float>("shortlist", tokens.size() * width);
    xt::xtensor<float, 2> shortlist = xt::empty<float>({tokens.size(), width});
    std::copy(values.begin(), values.end(), shortlist.begin());
    exit_gate out(std::move(lens), std::move(tokens), std::move(shortlist), sizes.layers);
    const std::size_t count = from.size("stages", sizes.layers - 1);
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t layer = from.size("layer", sizes.layers - 2);
        stage s;
        s.first = from.regression(width);
        s.least = from.value<float>("least");
        s.second = from.regression(features);
        out.set(layer, std::move(s));
    }
    return out;
}

XLENS_API xt::xtensor<float, 2> exit_gate::shortlist_scores(std::size_t layer,
                                                            rows<const float> x) const {
    xt::xtensor<float, 2> y = x.tensor();
    const auto found = m_rounded_lens.find(layer);
    if (found != m_rounded_lens.end()) {
        xt::xtensor<float, 2> unit = xt::empty<float>({x.count(), x.width()});
        unit_rms(x, unit);
        kernels::matmul(found->second.view(), unit, y);
        y += m_lens.layers().at(layer).bias;
    }
    unit_rms(y, y);
    xt::xtensor<float, 2> z = xt::empty<float>({x.count(), m_tokens.size()});
    kernels::matmul(m_rounded_shortlist.view(), y, z);
    return z;
}

XLENS_API std::pair<std::size_t, float> exit_gate::best_and_lead(std::span<const float> z) {
    std::size_t best = 0;
    float second = -std::numeric_limits<float>::infinity();
    for (std::size_t i = 1; i < z.size(); ++i) {
        if (z[i] <= second) { continue; }
        const bool leads = z[i] > z[best];
        second = leads ? z[best] : z[i];
        best = leads ? i : best;
    }
    return {best, z[best] - second};
}

#endif

}  // namespace xlens::early_exit
