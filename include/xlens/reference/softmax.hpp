// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

namespace xlens::reference {

/// log Σ_i exp(x_i); -inf for an empty row or one of -inf.
inline double log_sum_exp(std::span<const float> x) {
    constexpr double lowest = -std::numeric_limits<double>::infinity();
    double largest = lowest;
    for (const float v : x) { largest = std::max(largest, static_cast<double>(v)); }
    if (largest == lowest) { return lowest; }
    double sum = 0.0;
    for (const float v : x) { sum += std::exp(static_cast<double>(v) - largest); }
    return std::log(sum) + largest;
}

/// x_i = exp(x_i) / Σ_j exp(x_j); zeros for a row of -inf.
inline void softmax(std::span<float> x) {
    const double total = log_sum_exp(x);
    for (float& v : x) {
        v = std::isinf(total) ? 0.0F : static_cast<float>(std::exp(static_cast<double>(v) - total));
    }
}

}  // namespace xlens::reference
