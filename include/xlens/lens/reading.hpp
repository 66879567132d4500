// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>

#include <cmath>
#include <vector>

namespace xlens {

/// What the vocabulary says of one vector: its best tokens by logit, and the log of the softmax's
/// denominator over the whole vocabulary, so that probabilities are exact.
struct reading {
    std::vector<scored> top;      ///< best first; score = logit
    float log_normaliser = 0.0F;  ///< log Σ_w exp(logit_w)
    float target = 0.0F;          ///< log-probability of the token asked for, if one was

    [[nodiscard]] float probability(const scored& token) const;
};

#if XLENS_DEFINES(lens)

XLENS_API float reading::probability(const scored& token) const {
    return std::exp(token.score - log_normaliser);
}

#endif

}  // namespace xlens
