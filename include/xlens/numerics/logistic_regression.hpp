// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/storage/rows.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(numerics)
#include <xlens/core/error.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/numerics/cholesky.hpp>
#include <xlens/numerics/conjugate_gradients.hpp>
#include <xlens/storage/matrix.hpp>

#include <algorithm>
#endif

namespace xlens {

/// Logistic regression: p(x) = σ(⟨w, x⟩ + c), x of Q features.
struct logistic {
    std::vector<float> weights;  ///< w (Q), on features as they come
    float constant = 0.0F;

    /// log p/(1 - p): rises with p, and is what gets compared.
    [[nodiscard]] float log_odds(std::span<const float> x) const;
    [[nodiscard]] float probability(std::span<const float> x) const;
};

struct logistic_options {
    double ridge = 1.0;     ///< λ
    bool balanced = false;  ///< both answers get the same total weight
    std::size_t steps = 25;
};

namespace detail {

/// Features Z brought to mean 0 and deviation 1, and a constant.
struct standardised {
    std::vector<double> mean;
    std::vector<double> scale;
    xt::xtensor<float, 2> by_example;  ///< Z (N, Q + 1)
    xt::xtensor<float, 2> by_feature;  ///< Zᵀ: both products read memory in its order

    explicit standardised(rows<const float> x);
    /// Z·w.
    [[nodiscard]] std::vector<float> times(std::span<const double> w) const;
    /// Zᵀ·u.
    [[nodiscard]] std::vector<double> transposed_times(std::span<const float> u) const;
    /// The same regression on the features as they come.
    [[nodiscard]] logistic of_features(std::span<const double> w) const;
    /// Zᵀ·diag(c)·Z.
    [[nodiscard]] xt::xtensor<double, 2> gram(std::span<const float> c) const;
};

}  // namespace detail

/// Minimises Σ_n s_n·(log(1 + e^{z_n}) - y_n·z_n) + λ/2·‖w‖² over w and c by Newton steps, on
/// features brought to mean 0 and deviation 1; s_n = 1, or balances the answers. The second
/// derivatives are made and factored once, where w = 0; later steps are solved by conjugate
/// gradients from there. x (N, Q); answers 0 or 1. Cost N·Q² + Q³/3, then some hundred times N·Q;
/// memory 12·N·Q bytes. Throws xlens::error without examples.
XLENS_API logistic fit_logistic(rows<const float> x, std::span<const float> answers,
                                const logistic_options& options = {});

#if XLENS_DEFINES(numerics)

XLENS_API float logistic::log_odds(std::span<const float> x) const {
    return kernels::dot(x, weights) + constant;
}

XLENS_API float logistic::probability(std::span<const float> x) const {
    return 1.0F / (1.0F + std::exp(-log_odds(x)));
}

namespace detail {

XLENS_API standardised::standardised(rows<const float> x)
    : mean(x.width(), 0.0),
      scale(x.width(), 0.0),
      by_example(xt::ones<float>({x.count(), x.width() + 1})),
      by_feature(xt::ones<float>({x.width() + 1, x.count()})) {
    const auto n = static_cast<double>(x.count());
    for (std::size_t i = 0; i < x.count(); ++i) {
        for (std::size_t d = 0; d < x.width(); ++d) { mean[d] += x[i][d] / n; }
    }
    for (std::size_t i = 0; i < x.count(); ++i) {
        for (std::size_t d = 0; d < x.width(); ++d) {
            scale[d] += (x[i][d] - mean[d]) * (x[i][d] - mean[d]) / n;
        }
    }
    for (double& s : scale) { s = std::sqrt(s) + 1e-12; }
    for (std::size_t i = 0; i < x.count(); ++i) {
        for (std::size_t d = 0; d < x.width(); ++d) {
            by_example(i, d) = static_cast<float>((x[i][d] - mean[d]) / scale[d]);
            by_feature(d, i) = by_example(i, d);
        }
    }
}

XLENS_API std::vector<float> standardised::times(std::span<const double> w) const {
    std::vector<float> out(by_example.shape(0));
    kernels::matvec(as_matrix(by_example), std::vector<float>(w.begin(), w.end()), out);
    return out;
}

XLENS_API std::vector<double> standardised::transposed_times(std::span<const float> u) const {
    std::vector<float> out(by_feature.shape(0));
    kernels::matvec(as_matrix(by_feature), u, out);
    return {out.begin(), out.end()};
}

XLENS_API logistic standardised::of_features(std::span<const double> w) const {
    logistic out;
    double constant = w.back();
    for (std::size_t d = 0; d < mean.size(); ++d) {
        out.weights.push_back(static_cast<float>(w[d] / scale[d]));
        constant -= w[d] * mean[d] / scale[d];
    }
    out.constant = static_cast<float>(constant);
    return out;
}

XLENS_API xt::xtensor<double, 2> standardised::gram(std::span<const float> c) const {
    xt::xtensor<float, 2> scaled = by_feature;
    for (std::size_t d = 0; d < scaled.shape(0); ++d) {
        for (std::size_t i = 0; i < c.size(); ++i) { scaled(d, i) *= c[i]; }
    }
    xt::xtensor<float, 2> out = xt::empty<float>({scaled.shape(0), scaled.shape(0)});
    kernels::matmul(as_matrix(by_feature), scaled, out);
    return out;
}

}  // namespace detail

XLENS_API logistic fit_logistic(rows<const float> x, std::span<const float> answers,
                                const logistic_options& options) {
    const std::size_t q = x.width();
    if (x.count() == 0) { fail("logistic regression: 0 examples, expected at least 1"); }
    const detail::standardised in(x);
    const double total = static_cast<double>(x.count());
    const double ones = std::accumulate(answers.begin(), answers.end(), 0.0);
    const bool balance = options.balanced && ones > 0.0 && ones < total;
    const double weight_one = balance ? total / (2.0 * ones) : 1.0;
    const double weight_zero = balance ? total / (2.0 * (total - ones)) : 1.0;

    std::vector<double> w(q + 1, 0.0);
    const auto ridge = [&](std::size_t d) { return d < q ? options.ridge : 1e-6; };
    const auto weight = [&](std::size_t i) { return answers[i] > 0.5F ? weight_one : weight_zero; };
    std::vector<float> curvature(x.count());
    for (std::size_t i = 0; i < curvature.size(); ++i) {
        curvature[i] = static_cast<float>(0.25 * weight(i));
    }
    xt::xtensor<double, 2> factor = in.gram(curvature);
    for (std::size_t d = 0; d <= q; ++d) { factor(d, d) += ridge(d); }
    cholesky(factor, "logistic regression");
    const auto solve = [&](std::vector<double>& b) { solve_cholesky(factor, b); };

    for (std::size_t step = 0; step < options.steps; ++step) {
        std::vector<float> off = in.times(w);
        for (std::size_t i = 0; i < off.size(); ++i) {
            const double p = 1.0 / (1.0 + std::exp(-double{off[i]}));
            curvature[i] = static_cast<float>(weight(i) * std::max(p * (1.0 - p), 1e-6));
            off[i] = static_cast<float>(weight(i) * (p - answers[i]));
        }
        std::vector<double> gradient = in.transposed_times(off);
        for (std::size_t d = 0; d < q; ++d) { gradient[d] += ridge(d) * w[d]; }
        const auto hessian = [&](std::span<const double> v) {
            std::vector<float> bent = in.times(v);
            for (std::size_t i = 0; i < bent.size(); ++i) { bent[i] *= curvature[i]; }
            std::vector<double> out = in.transposed_times(bent);
            for (std::size_t d = 0; d <= q; ++d) { out[d] += ridge(d) * v[d]; }
            return out;
        };
        const std::vector<double> change = conjugate_gradients(hessian, solve, std::move(gradient));
        double largest = 0.0;
        for (std::size_t d = 0; d <= q; ++d) {
            w[d] -= change[d];
            largest = std::max(largest, std::abs(change[d]));
        }
        if (largest < 1e-4) { break; }
    }
    return in.of_features(w);
}

#endif

}  // namespace xlens
