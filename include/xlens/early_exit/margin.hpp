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

/// The difference between the probabilities of the two best tokens (2207.07061, the top-2 variant).
class margin : public lens_rule {
public:
    static constexpr rule_facts facts{
        .name = "margin", .threshold = 0.9F, .lens = true, .vocabulary = true};
    static constexpr std::string_view name = facts.name;
    using lens_rule::lens_rule;

    void score(const exit_view& view, std::span<float> scores);
};

#if XLENS_DEFINES(early_exit)

XLENS_API void margin::score(const exit_view& view, std::span<float> scores) {
    std::ranges::fill(scores, never_exits);
    if (!decides_at(view.layer)) { return; }
    const std::vector<reading>& read = this->read(view, 2);
    for (std::size_t t = 0; t < scores.size(); ++t) {
        const reading& r = read[t];
        if (r.top.size() == 2) { scores[t] = r.probability(r.top[0]) - r.probability(r.top[1]); }
    }
}

#endif

}  // namespace xlens::early_exit
