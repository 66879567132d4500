// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/early_exit/lens_rule.hpp>
#include <xlens/early_exit/rule_facts.hpp>

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <algorithm>
#endif

namespace xlens::early_exit {

/// CALM's softmax rule (Schuster et al. 2022, 2207.07061): the score is the probability of the top
/// token.
class confidence : public lens_rule {
public:
    static constexpr rule_facts facts{
        .name = "confidence", .threshold = 0.9F, .lens = true, .vocabulary = true};
    static constexpr std::string_view name = facts.name;
    using lens_rule::lens_rule;

    void score(const exit_view& view, std::span<float> scores);
};

#if XLENS_DEFINES(early_exit)

XLENS_API void confidence::score(const exit_view& view, std::span<float> scores) {
    std::ranges::fill(scores, never_exits);
    if (!decides_at(view.layer)) { return; }
    const std::vector<reading>& read = this->read(view, 1);
    for (std::size_t t = 0; t < scores.size(); ++t) {
        if (!read[t].top.empty()) { scores[t] = read[t].probability(read[t].top[0]); }
    }
}

#endif

}  // namespace xlens::early_exit
