// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/kernels/top_k.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/nn/dominance.hpp>

#include <cmath>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#if XLENS_DEFINES(trace)
#include <algorithm>
#endif

namespace xlens {

/// What one sub-update adds to a logit.
struct sub_update_contribution : sub_update {
    float contribution = 0.0F;                           ///< m_i·⟨d, v_i⟩
    std::shared_ptr<const token_ends> concept_of_value;  ///< null until it is asked for
};

/// The contributions of largest magnitude in a stream of all L·F; both signs.
class largest_contributions {
public:
    explicit largest_contributions(std::size_t limit) : m_high(limit), m_low(limit) {}

    /// Contribution i is of neuron `layer`:i; all layers have as many.
    void offer(std::size_t layer, std::span<const float> contributions);
    /// The largest; of the sub-updates themselves it knows the neurons alone.
    [[nodiscard]] std::vector<sub_update_contribution> sorted() const;

private:
    top_ids<std::size_t> m_high;  // by number in the model, layer·F + i
    top_ids<std::size_t> m_low;
    std::size_t m_width = 1;
};

#if XLENS_DEFINES(trace)

XLENS_API void largest_contributions::offer(std::size_t layer,
                                            std::span<const float> contributions) {
    m_width = contributions.size();
    offer_ends(m_high, m_low, layer * m_width, contributions);
}

XLENS_API std::vector<sub_update_contribution> largest_contributions::sorted() const {
    using numbered = scored_id<std::size_t>;
    std::vector<numbered> both = m_high.sorted();
    std::erase_if(both, [](const numbered& s) { return s.score < 0.0F; });
    for (const numbered& s : m_low.sorted()) {
        if (s.score > 0.0F) { both.push_back({s.id, -s.score}); }
    }
    std::sort(both.begin(), both.end(), [](const numbered& a, const numbered& b) {
        return ranks_before(numbered{a.id, std::abs(a.score)}, numbered{b.id, std::abs(b.score)});
    });
    both.resize(std::min(both.size(), m_high.k()));
    std::vector<sub_update_contribution> out;
    for (const auto& [number, contribution] : both) {
        out.push_back({{{number / m_width, number % m_width}}, contribution, {}});
    }
    return out;
}

#endif

}  // namespace xlens
