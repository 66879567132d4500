// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/analysis/events/statistics.hpp>
#include <xlens/core/types.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace xlens {

/// A value vector that gives extreme scores often.
struct functional_vector {
    neuron where;
    neuron_counts counts;

    [[nodiscard]] std::uint64_t extremes() const {
        return std::uint64_t{counts.promotes} + counts.suppresses;
    }
};

/// Where extreme scores come from (Geva et al. 2022, section 5.3, which counts clusters; here each
/// value vector is counted by itself). A score is extreme if |m_i·⟨e_w, v_i⟩| reaches the threshold,
/// w being the top candidate before the update and v_i among the dominant.
struct functional_vectors {
    std::vector<functional_vector>
        often;                          ///< extreme at one position in `rarest` or more, most first
    std::vector<std::size_t> by_layer;  ///< (L): how many of `often`
    std::size_t any = 0;                ///< value vectors with an extreme score
    std::size_t half = 0;               ///< fewest that give half of all extreme scores
    std::size_t nine_tenths = 0;        ///< … nine tenths
    std::uint64_t promoting = 0;        ///< extreme scores above 0
    std::uint64_t suppressing = 0;      ///< and below
    std::uint64_t extreme_updates = 0;  ///< updates with one or more
};

/// Positions among which a functional vector has at least one extreme score.
inline constexpr std::uint64_t functional_rarest = 1000;

/// O(L·F log(L·F)).
inline functional_vectors find_functional(const event_statistics& found) {
    functional_vectors out;
    std::vector<functional_vector> all;
    for (std::size_t i = 0; i < found.neurons.size(); ++i) {
        const functional_vector v{{i / found.inner_width, i % found.inner_width}, found.neurons[i]};
        out.promoting += v.counts.promotes;
        out.suppressing += v.counts.suppresses;
        if (v.extremes() > 0) { all.push_back(v); }
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& a, const auto& b) { return a.extremes() > b.extremes(); });
    out.any = all.size();
    out.by_layer.assign(found.layers, 0);
    const std::uint64_t total = out.promoting + out.suppressing;
    std::uint64_t sum = 0;
    for (const functional_vector& v : all) {
        if (2 * sum < total) { ++out.half; }
        if (10 * sum < 9 * total) { ++out.nine_tenths; }
        sum += v.extremes();
        if (v.extremes() * functional_rarest < found.positions) { continue; }
        out.often.push_back(v);
        ++out.by_layer[v.where.layer];
    }
    for (const std::uint64_t n : found.extreme_updates) { out.extreme_updates += n; }
    return out;
}

}  // namespace xlens
