// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/norm.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>

namespace xlens {

namespace detail {
inline std::span<const float> as_span(const xt::xtensor<float, 1>& t) {
    return {t.data(), t.size()};
}
}  // namespace detail

/// RMS norm: x / √(mean(x²) + ε) ⊙ γ, by row. Source: Zhang and Sennrich 2019 (1910.07467).
struct rms_norm {
    xt::xtensor<float, 1> gain;  ///< γ (D)
    float epsilon = 1e-5F;

    /// x (T, D) -> out (T, D); the two may be the same memory.
    void operator()(rows<const float> x, rows<float> out) const {
        parallel_for(x.count(), 4 * x.width(), [&](std::size_t t) {
            kernels::rms_norm(x[t], detail::as_span(gain), epsilon, out[t]);
        });
    }
    /// The norm as the linear map that it is at x (D), its scale held: g (D) becomes
    ///   d = γ⊙g / √(mean(x²) + ε),   so that ⟨g, norm(x)⟩ = ⟨d, x⟩.
    void fold_at(std::span<const float> x, std::span<float> g) const {
        double squares = 0.0;
        for (const float v : x) { squares += double{v} * double{v}; }
        const double scale =
            1.0 / std::sqrt(squares / static_cast<double>(x.size()) + double{epsilon});
        for (std::size_t d = 0; d < g.size(); ++d) {
            g[d] = static_cast<float>(double{gain(d)} * double{g[d]} * scale);
        }
    }
    /// ⟨g, β⟩ = 0: what the norm adds to ⟨g, norm(x)⟩ whatever x is.
    [[nodiscard]] double constant(std::span<const float>) const { return 0.0; }
};

/// Layer norm: (x - mean(x)) / √(var(x) + ε) ⊙ γ + β, by row. Source: Ba et al. 2016 (1607.06450).
struct layer_norm {
    xt::xtensor<float, 1> gain;  ///< γ (D)
    xt::xtensor<float, 1> bias;  ///< β (D), may be empty
    float epsilon = 1e-5F;

    void operator()(rows<const float> x, rows<float> out) const {
        parallel_for(x.count(), 8 * x.width(), [&](std::size_t t) {
            kernels::layer_norm(x[t], detail::as_span(gain), detail::as_span(bias), epsilon,
                                out[t]);
        });
    }
    /// The norm as the linear map that it is at x (D), its scale held: g (D) becomes
    ///   d = (γ⊙g - mean(γ⊙g)) / √(var(x) + ε),   so that ⟨g, norm(x)⟩ = ⟨d, x⟩ + ⟨g, β⟩.
    /// Centring is symmetric: ⟨γ⊙g, x - mean(x)⟩ = ⟨γ⊙g - mean(γ⊙g), x⟩.
    void fold_at(std::span<const float> x, std::span<float> g) const {
        const auto count = static_cast<double>(x.size());
        double mean = 0.0;
        for (const float v : x) { mean += double{v} / count; }
        double variance = 0.0;
        for (const float v : x) { variance += (double{v} - mean) * (double{v} - mean) / count; }
        double mean_gain = 0.0;
        for (std::size_t d = 0; d < g.size(); ++d) {
            mean_gain += double{gain(d)} * double{g[d]} / count;
        }
        const double scale = 1.0 / std::sqrt(variance + double{epsilon});
        for (std::size_t d = 0; d < g.size(); ++d) {
            g[d] = static_cast<float>((double{gain(d)} * double{g[d]} - mean_gain) * scale);
        }
    }
    /// ⟨g, β⟩: what the norm adds to ⟨g, norm(x)⟩ whatever x is.
    [[nodiscard]] double constant(std::span<const float> g) const {
        double sum = 0.0;
        for (std::size_t d = 0; d < bias.size(); ++d) { sum += double{g[d]} * double{bias(d)}; }
        return sum;
    }
};

/// The final norm by row, or a copy where the model has none. (N, D) -> (N, D).
template <class Norm>
void normalise(const std::optional<Norm>& norm, rows<const float> x, rows<float> out) {
    if (norm) { return (*norm)(x, out); }
    for (std::size_t n = 0; n < out.count(); ++n) {
        std::copy(x[n].begin(), x[n].end(), out[n].begin());
    }
}

}  // namespace xlens
