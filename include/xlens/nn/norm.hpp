// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/norm.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>

namespace xlens {

namespace detail {
inline std::span<const float> as_span(const xt::xtensor<float, 1>& t) {
    return {t.data(), t.size()};
}
}  // namespace detail

namespace detail {

/// x and out (T, D) of a norm of width D.
inline void check_norm_shapes(rows<const float> x, std::size_t width, rows<const float> out) {
    if (x.width() != width || out.width() != width || x.count() != out.count()) {
        fail("norm: x ({}, {}) and out ({}, {}), expected (T, {})", x.count(), x.width(),
             out.count(), out.width(), width);
    }
}

inline void rms_norm_rows(rows<const float> x, const xt::xtensor<float, 1>& gain, float epsilon,
                          rows<float> out) {
    check_norm_shapes(x, gain.size(), out);
    parallel_for(x.count(), 4 * x.width(),
                 [&](std::size_t t) { kernels::rms_norm(x[t], as_span(gain), epsilon, out[t]); });
}
inline void layer_norm_rows(rows<const float> x, const xt::xtensor<float, 1>& gain,
                            const xt::xtensor<float, 1>& bias, float epsilon, rows<float> out) {
    check_norm_shapes(x, gain.size(), out);
    parallel_for(x.count(), 8 * x.width(), [&](std::size_t t) {
        kernels::layer_norm(x[t], as_span(gain), as_span(bias), epsilon, out[t]);
    });
}

/// g := γ⊙g / √(mean(x²) + ε).
inline void fold_rms_at(std::span<const float> x, const xt::xtensor<float, 1>& gain, float epsilon,
                        std::span<float> g) {
    double squares = 0.0;
    for (const float v : x) { squares += double{v} * double{v}; }
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(x.size()) + double{epsilon});
    for (std::size_t d = 0; d < g.size(); ++d) {
        g[d] = static_cast<float>(double{gain(d)} * double{g[d]} * scale);
    }
}
/// g := (γ⊙g - mean(γ⊙g)) / √(var(x) + ε). Centring is symmetric:
/// ⟨γ⊙g, x - mean(x)⟩ = ⟨γ⊙g - mean(γ⊙g), x⟩.
inline void fold_layer_at(std::span<const float> x, const xt::xtensor<float, 1>& gain,
                          float epsilon, std::span<float> g) {
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
/// ⟨g, b⟩; 0 for an empty b.
inline double inner_product(std::span<const float> g, const xt::xtensor<float, 1>& b) {
    double sum = 0.0;
    for (std::size_t d = 0; d < b.size(); ++d) { sum += double{g[d]} * double{b(d)}; }
    return sum;
}

}  // namespace detail

/// RMS norm: x / √(mean(x²) + ε) ⊙ γ, by row. Source: Zhang and Sennrich 2019 (1910.07467).
struct rms_norm {
    xt::xtensor<float, 1> gain;  ///< γ (D)
    float epsilon = 1e-5F;

    /// x (T, D) -> out (T, D); the two may be the same memory.
    void operator()(rows<const float> x, rows<float> out) const {
        detail::rms_norm_rows(x, gain, epsilon, out);
    }
    /// The norm as the linear map that it is at x (D), its scale held: g (D) becomes
    ///   d = γ⊙g / √(mean(x²) + ε),   so that ⟨g, norm(x)⟩ = ⟨d, x⟩.
    void fold_at(std::span<const float> x, std::span<float> g) const {
        detail::fold_rms_at(x, gain, epsilon, g);
    }
    /// ⟨g, β⟩ = 0: what the norm adds to ⟨g, norm(x)⟩ whatever x is.
    [[nodiscard]] double constant(std::span<const float>) const { return 0.0; }
};

/// Layer norm: (x - mean(x)) / √(var(x) + ε) ⊙ γ + β, by row. Source: Ba et al. 2016 (1607.06450).
struct layer_norm {
    xt::xtensor<float, 1> gain;       ///< γ (D)
    xt::xtensor<float, 1> bias = {};  ///< β (D), may be empty
    float epsilon = 1e-5F;

    void operator()(rows<const float> x, rows<float> out) const {
        detail::layer_norm_rows(x, gain, bias, epsilon, out);
    }
    /// The norm as the linear map that it is at x (D), its scale held: g (D) becomes
    ///   d = (γ⊙g - mean(γ⊙g)) / √(var(x) + ε),   so that ⟨g, norm(x)⟩ = ⟨d, x⟩ + ⟨g, β⟩.
    void fold_at(std::span<const float> x, std::span<float> g) const {
        detail::fold_layer_at(x, gain, epsilon, g);
    }
    /// ⟨g, β⟩: what the norm adds to ⟨g, norm(x)⟩ whatever x is.
    [[nodiscard]] double constant(std::span<const float> g) const {
        return detail::inner_product(g, bias);
    }
};

/// Which of the two a model has.
enum class norm_kind { rms, layer };

/// Either norm, as a file says: what xlens::model is made of.
struct any_norm {
    norm_kind kind = norm_kind::rms;
    xt::xtensor<float, 1> gain;       ///< γ (D)
    xt::xtensor<float, 1> bias = {};  ///< β (D), may be empty; a layer norm's
    float epsilon = 1e-5F;

    any_norm() = default;
    any_norm(rms_norm n)  // NOLINT(google-explicit-constructor): it is one
        : gain(std::move(n.gain)), epsilon(n.epsilon) {}
    any_norm(layer_norm n)  // NOLINT(google-explicit-constructor): it is one
        : kind(norm_kind::layer),
          gain(std::move(n.gain)),
          bias(std::move(n.bias)),
          epsilon(n.epsilon) {}

    /// x (T, D) -> out (T, D); the two may be the same memory.
    void operator()(rows<const float> x, rows<float> out) const {
        kind == norm_kind::rms ? detail::rms_norm_rows(x, gain, epsilon, out)
                               : detail::layer_norm_rows(x, gain, bias, epsilon, out);
    }
    void fold_at(std::span<const float> x, std::span<float> g) const {
        kind == norm_kind::rms ? detail::fold_rms_at(x, gain, epsilon, g)
                               : detail::fold_layer_at(x, gain, epsilon, g);
    }
    [[nodiscard]] double constant(std::span<const float> g) const {
        return detail::inner_product(g, bias);
    }
};

/// The final norm by row, or a copy where the model has none. (N, D) -> (N, D). Throws xlens::error
/// where the two are not of one shape, or not of the norm's width.
template <class Norm>
void normalise(const std::optional<Norm>& norm, rows<const float> x, rows<float> out) {
    const std::size_t width = norm && norm->gain.size() > 0 ? norm->gain.size() : x.width();
    if (x.width() != width || out.width() != width || out.count() != x.count()) {
        fail(
            "norm of width {}: expected rows and as many results of that width, got ({}, {}) and "
            "({}, {})",
            width, x.count(), x.width(), out.count(), out.width());
    }
    if (norm) { return (*norm)(x, out); }
    for (std::size_t n = 0; n < out.count(); ++n) {
        std::copy(x[n].begin(), x[n].end(), out[n].begin());
    }
}

/// Throws xlens::error naming layer and position where the mean square of a residual that is about
/// to be read is no finite f32 number: a NaN or an infinity in it, or numbers whose squares
/// overflow (|x| from about 1e19 on). Norms would make zeros or NaNs of it, and a lens a
/// distribution that looks like one. Row n of x (N, D) is of position first + n. O(N·D), beside the
/// V·D of the reading.
inline void check_residual(rows<const float> x, std::size_t layer, std::size_t first) {
    for (std::size_t n = 0; n < x.count(); ++n) {
        const float mean_square =
            kernels::dot(x[n], x[n]) / static_cast<float>(std::max<std::size_t>(x.width(), 1));
        if (!std::isfinite(mean_square)) {
            fail(
                "layer {}, position {}: the mean square of the residual is {}, expected a finite "
                "number",
                layer, first + n, mean_square);
        }
    }
}

}  // namespace xlens
