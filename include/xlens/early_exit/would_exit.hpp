// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/early_exit/exit_inputs.hpp>
#include <xlens/early_exit/exit_rule.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace xlens::early_exit {

/// Policy that stops nothing and notes, for every position, the layer after which it would have
/// left: the first whose score reaches the threshold, or else the last that ran. Works in passes of
/// any size; each position is asked on what the whole model left in the cache, as kv_fill::complete
/// has it. Costs what the rule's decisions cost, at every layer.
template <exit_rule Rule>
class would_exit {
public:
    static constexpr hook hooks = hook::embedding | hook::before | hook::coefficients | hook::after;

    would_exit(Rule rule, float threshold)
        : m_rule(std::move(rule)), m_inputs(m_rule.needs()), m_threshold(threshold) {}

    /// The layer of each position of the sequence, from 0 on.
    [[nodiscard]] const std::vector<std::size_t>& layers() const { return m_layers; }

    void embedding(const site& where, rows<float> x) {
        m_layers.resize(where.first_position);  // what was read before: a sequence may be truncated
        m_layers.resize(where.first_position + x.count());
        m_left.assign(x.count(), false);
        m_rule.begin(x.count());
    }
    void before(const site&, rows<float> x) { m_inputs.before(x); }
    void coefficients(const site&, rows<float> m) { m_inputs.coefficients(m); }
    void after(const site& where, rows<float> x) {
        const exit_view view = m_inputs.view(where.layer, where.first_position, x);
        m_scores.assign(x.count(), never_exits);
        m_rule.score(view, m_scores);
        for (std::size_t t = 0; t < x.count(); ++t) {
            if (m_left[t]) { continue; }
            m_layers[where.first_position + t] = where.layer;
            m_left[t] = m_scores[t] >= m_threshold;
        }
    }

private:
    Rule m_rule;
    exit_inputs m_inputs;
    float m_threshold;
    std::vector<std::size_t> m_layers;
    std::vector<bool> m_left;     // positions of this pass
    std::vector<float> m_scores;  // reused
};

}  // namespace xlens::early_exit
