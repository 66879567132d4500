// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cmath>
#include <cstddef>
#include <span>

namespace xlens::reference {

/// Σ_i a_i·b_i, summed in double precision.
inline double dot(std::span<const float> a, std::span<const float> b) {
    double sum = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    }
    return sum;
}

/// ‖x‖.
inline double norm2(std::span<const float> x) { return std::sqrt(dot(x, x)); }

/// out = x / sqrt(mean(x²) + ε) ⊙ gain.
inline void rms_norm(std::span<const float> x, std::span<const float> gain, float epsilon,
                     std::span<float> out) {
    const double mean_square = dot(x, x) / static_cast<double>(x.size());
    const double deviation = std::sqrt(mean_square + static_cast<double>(epsilon));
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double scaled = static_cast<double>(x[i]) / deviation;
        out[i] = static_cast<float>(scaled * static_cast<double>(gain[i]));
    }
}

/// out = (x - mean(x)) / sqrt(var(x) + ε) ⊙ gain + bias; `bias` may be empty.
inline void layer_norm(std::span<const float> x, std::span<const float> gain,
                       std::span<const float> bias, float epsilon, std::span<float> out) {
    const auto count = static_cast<double>(x.size());
    double mean = 0.0;
    for (const float v : x) { mean += static_cast<double>(v) / count; }
    double variance = 0.0;
    for (const float v : x) {
        const double centred = static_cast<double>(v) - mean;
        variance += centred * centred / count;
    }
    const double deviation = std::sqrt(variance + static_cast<double>(epsilon));
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double scaled = (static_cast<double>(x[i]) - mean) / deviation;
        const double shift = bias.empty() ? 0.0 : static_cast<double>(bias[i]);
        out[i] = static_cast<float>(scaled * static_cast<double>(gain[i]) + shift);
    }
}

}  // namespace xlens::reference
