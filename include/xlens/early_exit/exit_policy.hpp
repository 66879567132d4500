// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/early_exit/exit_inputs.hpp>
#include <xlens/early_exit/exit_rule.hpp>
#include <xlens/hooks/answer.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace xlens::early_exit {

/// Policy that stops a pass of one position at the first layer where its rule is sure enough.
/// A pass of several positions (a prompt) runs in full: a stop would hold for all of them.
///
/// What the skipped layers get is up to sequence_state::fill. Only after that does the rule's lens
/// replace the exit residual by what the unembedding reads. Where nobody needs logits
/// (logit_rows::best), a rule that knows the token names it and nothing is read.
template <exit_rule Rule>
class exit_policy {
public:
    static constexpr hook hooks =
        hook::embedding | hook::before | hook::coefficients | hook::after | hook::read_out;

    /// Exits where a score reaches `threshold`.
    exit_policy(Rule rule, float threshold)
        : m_rule(std::move(rule)), m_inputs(m_rule.needs()), m_threshold(threshold) {}
    /// Exits where `stops(layer, score)` says so; it is asked where the rule has a score.
    exit_policy(Rule rule, std::function<bool(std::size_t, float)> stops)
        : m_rule(std::move(rule)), m_inputs(m_rule.needs()), m_stops(std::move(stops)) {}

    [[nodiscard]] const Rule& rule() const { return m_rule; }
    [[nodiscard]] float threshold() const { return m_threshold; }

    void embedding(const site&, rows<float> x) {
        m_alone = x.count() == 1;
        m_stopped = false;
        m_answer.reset();
        if (m_alone) { m_rule.begin(1); }
    }
    void before(const site&, rows<float> x) {
        if (m_alone) { m_inputs.before(last(x)); }
    }
    void coefficients(const site&, rows<float> m) {
        if (m_alone) { m_inputs.coefficients(last(m)); }
    }
    flow after(const site& where, rows<float> all) {
        if (!m_alone) { return flow::proceed; }
        const rows<float> x = last(all);
        const exit_view view =
            m_inputs.view(where.layer, where.first_position + all.count() - 1, x);
        float score = never_exits;
        m_rule.score(view, {&score, 1});
        m_stopped =
            m_stops ? score > never_exits && m_stops(where.layer, score) : score >= m_threshold;
        if constexpr (answering_rule<Rule>) {
            if (m_stopped && score > never_exits) { keep_answer(x[0]); }
        }
        return m_stopped ? flow::stop : flow::proceed;
    }
    void read_out(const site& where, rows<float> x) {
        if (m_stopped) { m_rule.translate(where.layer, x); }
    }
    /// The rule's token, unless a policy behind this one has changed the residual since.
    [[nodiscard]] std::optional<named_token> answer(std::span<const float> x) const {
        const auto bits = [](float v) { return std::bit_cast<std::uint32_t>(v); };
        const bool same = m_answer && std::ranges::equal(x, m_judged, {}, bits, bits);
        return same ? m_answer : std::nullopt;
    }

private:
    /// The position of this pass: before it may stand those that earlier exits left behind.
    static rows<float> last(rows<float> x) { return x.subrows(x.count() - 1, 1); }

    void keep_answer(std::span<const float> x) {
        m_answer = m_rule.answer(0);
        m_judged.assign(x.begin(), x.end());
    }

    Rule m_rule;
    exit_inputs m_inputs;
    float m_threshold = 0.0F;
    std::function<bool(std::size_t, float)> m_stops;  // in place of the threshold
    bool m_alone = false;
    bool m_stopped = false;
    std::optional<named_token> m_answer;  // of this pass, from …
    std::vector<float> m_judged;          // … the residual (D) that it left with
};

}  // namespace xlens::early_exit
