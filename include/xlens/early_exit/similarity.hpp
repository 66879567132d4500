// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/early_exit/lens_rule.hpp>
#include <xlens/early_exit/rule_facts.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <span>
#include <string_view>

#if XLENS_DEFINES(early_exit)
#include <xlens/kernels/dot.hpp>

#include <algorithm>
#endif

namespace xlens::early_exit {

/// CALM's saturation of states (2207.07061): the cosine of the residuals after two successive
/// layers. Needs no unembedding to decide. The lens is what reads the residual at the exit.
class similarity : public lens_rule {
public:
    static constexpr rule_facts facts{.name = "similarity", .lens = true};
    static constexpr std::string_view name = facts.name;
    using lens_rule::lens_rule;

    void begin(std::size_t) { m_last.resize({0, 0}); }
    void score(const exit_view& view, std::span<float> scores);

private:
    xt::xtensor<float, 2> m_last = xt::empty<float>({std::size_t{0}, std::size_t{0}});
};

#if XLENS_DEFINES(early_exit)

XLENS_API void similarity::score(const exit_view& view, std::span<float> scores) {
    std::ranges::fill(scores, never_exits);
    if (m_last.shape(0) == scores.size() && decides_at(view.layer)) {
        const rows<const float> last = m_last;
        for (std::size_t t = 0; t < scores.size(); ++t) {
            const float lengths = kernels::norm2(last[t]) * kernels::norm2(view.residual[t]);
            if (lengths > 0.0F) { scores[t] = kernels::dot(last[t], view.residual[t]) / lengths; }
        }
    }
    m_last = view.residual.tensor();
}

#endif

}  // namespace xlens::early_exit
