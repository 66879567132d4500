// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>

// The activations as their papers write them, in double precision.

namespace xlens::reference {

/// max(x, 0).
struct relu {
    static double apply(double x) { return x < 0.0 ? 0.0 : x; }
};

/// x·Φ(x), Φ the normal distribution function. Hendrycks and Gimpel, arXiv 1606.08415.
struct gelu {
    static double apply(double x) { return x * 0.5 * (1.0 + std::erf(x / std::numbers::sqrt2)); }
};

/// The approximation of gelu by tanh, same paper.
struct gelu_tanh {
    static double apply(double x) {
        const double inner = std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x);
        return 0.5 * x * (1.0 + std::tanh(inner));
    }
};

/// x·σ(x), σ the logistic function.
struct silu {
    static double apply(double x) { return x * (1.0 / (1.0 + std::exp(-x))); }
};

/// x_i = act(x_i).
template <class Activation>
void activate(std::span<float> x) {
    for (float& v : x) { v = static_cast<float>(Activation::apply(static_cast<double>(v))); }
}

/// gate_i = act(gate_i)·up_i.
template <class Activation>
void activate_gated(std::span<float> gate, std::span<const float> up) {
    for (std::size_t i = 0; i < gate.size(); ++i) {
        const double activated = Activation::apply(static_cast<double>(gate[i]));
        gate[i] = static_cast<float>(activated * static_cast<double>(up[i]));
    }
}

}  // namespace xlens::reference
