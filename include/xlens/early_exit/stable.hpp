// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
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

/// How many of the layers at which it decides, up to this one, named the same top token without a
/// break: 1 where it has just changed.
class stable : public lens_rule {
public:
    static constexpr rule_facts facts{
        .name = "stable", .threshold = 3.0F, .lens = true, .vocabulary = true};
    static constexpr std::string_view name = facts.name;
    using lens_rule::lens_rule;

    void begin(std::size_t count);
    void score(const exit_view& view, std::span<float> scores);

private:
    std::vector<token_id> m_top;
    std::vector<float> m_run;
};

#if XLENS_DEFINES(early_exit)

XLENS_API void stable::begin(std::size_t count) {
    m_top.assign(count, -1);
    m_run.assign(count, 0.0F);
}

XLENS_API void stable::score(const exit_view& view, std::span<float> scores) {
    std::ranges::fill(scores, never_exits);
    if (!decides_at(view.layer)) { return; }
    const std::vector<reading>& read = this->read(view, 1);
    for (std::size_t t = 0; t < scores.size(); ++t) {
        if (read[t].top.empty()) { continue; }
        const token_id top = read[t].top[0].id;
        m_run[t] = top == m_top[t] ? m_run[t] + 1.0F : 1.0F;
        m_top[t] = top;
        scores[t] = m_run[t];
    }
}

#endif

}  // namespace xlens::early_exit
