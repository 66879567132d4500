// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace xlens::reference {

/// The k best of scores[i], scored as id i: the higher score first, the lower id first among
/// equals, no NaN.
inline std::vector<scored> top_k(std::span<const float> scores, std::size_t k) {
    std::vector<scored> out;
    for (std::size_t i = 0; i < scores.size(); ++i) {
        if (!std::isnan(scores[i])) { out.push_back({static_cast<token_id>(i), scores[i]}); }
    }
    // The ids ascend already, so a stable sort by score alone settles the ties.
    std::stable_sort(out.begin(), out.end(),
                     [](const scored& a, const scored& b) { return a.score > b.score; });
    out.resize(std::min(k, out.size()));
    return out;
}

}  // namespace xlens::reference
