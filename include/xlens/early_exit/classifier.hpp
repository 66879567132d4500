// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/early_exit/exit_file.hpp>
#include <xlens/early_exit/exit_rule.hpp>
#include <xlens/early_exit/rule_facts.hpp>
#include <xlens/numerics/logistic_regression.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <map>
#include <span>
#include <string_view>
#include <utility>

#if XLENS_DEFINES(early_exit)
#include <xlens/core/error.hpp>

#include <algorithm>
#endif

namespace xlens::early_exit {

/// What a classifier looks at: the residual, what the FFN added, or both side by side.
enum class classifier_input { residual, update, both };

/// The paper's baselines (Geva et al. 2022, section 6.2): a logistic regression a layer, of whether
/// the position has saturated. The score is its probability; the residual is read plainly.
class classifier {
public:
    static constexpr rule_facts facts{.name = "classifier", .input = true};
    static constexpr std::string_view name = facts.name;

    explicit classifier(classifier_input input) : m_input(input) {}
    void set(std::size_t layer, logistic l) { m_layers.insert_or_assign(layer, std::move(l)); }

    /// The features of one layer: (N, D) or (N, 2·D).
    [[nodiscard]] static xt::xtensor<float, 2> features(classifier_input input,
                                                        rows<const float> residual,
                                                        rows<const float> update);

    [[nodiscard]] exit_needs needs() const;
    void begin(std::size_t) {}
    void score(const exit_view& view, std::span<float> scores);
    void translate(std::size_t, rows<float>) const {}

    void save(exit_writer& to) const;
    static classifier load(exit_reader& from, const exit_sizes& sizes);

private:
    classifier_input m_input;
    std::map<std::size_t, logistic> m_layers;
};

#if XLENS_DEFINES(early_exit)

XLENS_API xt::xtensor<float, 2> classifier::features(classifier_input input,
                                                     rows<const float> residual,
                                                     rows<const float> update) {
    if (input == classifier_input::residual) { return residual.tensor(); }
    if (input == classifier_input::update) { return update.tensor(); }
    return xt::concatenate(xt::xtuple(residual.tensor(), update.tensor()), 1);
}

XLENS_API exit_needs classifier::needs() const {
    return {.update = m_input != classifier_input::residual};
}

XLENS_API void classifier::score(const exit_view& view, std::span<float> scores) {
    std::ranges::fill(scores, never_exits);
    const auto found = m_layers.find(view.layer);
    if (found == m_layers.end()) { return; }
    const xt::xtensor<float, 2> x = features(m_input, view.residual, view.update);
    for (std::size_t t = 0; t < scores.size(); ++t) {
        scores[t] = found->second.probability(rows<const float>(x)[t]);
    }
}

XLENS_API void classifier::save(exit_writer& to) const {
    to.value(static_cast<std::uint32_t>(m_input));
    to.size(m_layers.size());
    for (const auto& [layer, l] : m_layers) {
        to.size(layer);
        to.regression(l);
    }
}

XLENS_API classifier classifier::load(exit_reader& from, const exit_sizes& sizes) {
    const auto input = from.value<std::uint32_t>("input");
    if (input > 2) { fail("{}: exit rule: input: expected 0 to 2, got {}", from.name(), input); }
    classifier out(static_cast<classifier_input>(input));
    const std::size_t count = from.size("layers", sizes.layers);
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t layer = from.size("layer", sizes.layers - 1);
        out.set(layer, from.regression(input == 2 ? 2 * sizes.width : sizes.width));
    }
    return out;
}

#endif

}  // namespace xlens::early_exit
