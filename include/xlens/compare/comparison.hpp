// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>
#include <xlens/lens/reading.hpp>
#include <xlens/numerics/summary.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <vector>

// What two models A and B, or one model before and after a change, make of one text.

namespace xlens {

/// A position, as both models read it.
struct compared_position {
    std::size_t predicted = 0;  ///< the place in the text of the token that follows, from 0
    token_id read = 0;          ///< the token at the position: what was read last
    token_id next = -1;         ///< the token that follows; -1 after the last one
    double kl = 0.0;            ///< KL(p_A ‖ p_B), nats
    double log_a = std::numeric_limits<double>::quiet_NaN();  ///< log p_A(next)
    double log_b = std::numeric_limits<double>::quiet_NaN();
    reading a;  ///< the most probable tokens
    reading b;
};

/// How the predictions differ, over all positions whose next token the text has. Errors are
/// standard errors of means (estimate_mean).
struct output_difference {
    std::size_t positions = 0;
    mean_estimate kl;  ///< of KL(p_A ‖ p_B), nats
    double kl_median = 0.0;
    double kl_95 = 0.0;  ///< quantile 0.95
    double kl_99 = 0.0;
    double kl_max = 0.0;
    std::size_t kl_max_at = 0;         ///< compared_position::predicted of the first one
    mean_estimate agreement;           ///< share of positions with the same top token
    double log_change = 0.0;           ///< mean |log p_B(next) - log p_A(next)|
    mean_estimate probability_change;  ///< of p_B(next) - p_A(next)
    double probability_rms = 0.0;      ///< root of its mean square
    double nll_a = 0.0;                ///< mean negative log-likelihood, nats
    double nll_b = 0.0;
    mean_estimate log_ratio;                 ///< ln(perplexity of B / perplexity of A)
    std::vector<compared_position> largest;  ///< of largest KL above 0, the largest first
    std::optional<compared_position> end;    ///< after the last token, where that was asked for

    [[nodiscard]] double perplexity_a() const { return std::exp(nll_a); }
    [[nodiscard]] double perplexity_b() const { return std::exp(nll_b); }
    /// Perplexity of B over that of A; its error is ratio·(error of its logarithm).
    [[nodiscard]] mean_estimate ratio() const {
        const double value = std::exp(log_ratio.mean);
        return {value, value * log_ratio.error};
    }
};

/// How the value vectors of a layer differ, v_i of A beside v_i of B.
struct value_difference {
    double cosine = 1.0;     ///< mean over all neurons
    double least = 1.0;      ///< the smallest one
    std::size_t neuron = 0;  ///< whose that is, the first of equals
    double promoted = 1.0;   ///< shared tokens of the two concepts, a share, of some neurons
};

/// A layer, A beside B: means over the positions.
struct layer_difference {
    double kl = 0.0;         ///< KL between what the lens reads after the layer, nats
    double agreement = 0.0;  ///< share of positions whose readings have the same top token
    double cosine = 0.0;     ///< of the residuals after the layer, x_A and x_B
    double distance = 0.0;   ///< ‖x_B - x_A‖ / ‖x_A‖
    double overlap = 0.0;    ///< |S_A ∩ S_B| / max(|S_A|, |S_B|) of the dominant neurons S
    double jaccard = 0.0;    ///< |S_A ∩ S_B| / |S_A ∪ S_B|
    /// Mean |m_B - m_A| / |m_A| over all neurons and positions of S_A ∩ S_B; NaN of none.
    double coefficient_change = 0.0;
    std::optional<value_difference> values;  ///< unless left out
};

/// Saturation layers (saturation_layer), of each position by each model's own last reading.
struct saturation_difference {
    double a = 0.0;  ///< means
    double b = 0.0;
    double shift = 0.0;      ///< mean of B's less A's
    double unchanged = 0.0;  ///< share of positions where they are the same
};

/// A neuron whose value vectors are far apart, and what they promote.
struct compared_value {
    neuron where;
    double cosine = 0.0;
    double promoted = 0.0;  ///< shared tokens, a share
    std::vector<scored> a;  ///< tokens that A's vector promotes most
    std::vector<scored> b;
};

struct comparison {
    output_difference output;
    std::vector<layer_difference> layers;             ///< empty if left out
    std::optional<saturation_difference> saturation;  ///< likewise
    std::vector<compared_value> values;  ///< of smallest cosine below 1, the smallest first
    std::string left_out;                ///< why the layers are; empty: they are there
    std::string values_left_out;         ///< the same of the value vectors
};

}  // namespace xlens
