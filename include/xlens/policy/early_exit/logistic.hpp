// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/lens/fit_linear_lens.hpp>
#include <xlens/policy/early_exit/exit_file.hpp>
#include <xlens/storage/rows.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace xlens {

/// Logistic regression: p(x) = σ(⟨w, x⟩ + c), x of Q features.
struct logistic {
    std::vector<float> weights;  ///< w (Q), on features as they come
    float constant = 0.0F;

    /// log p/(1 - p): rises with p, and is what gets compared.
    [[nodiscard]] float log_odds(std::span<const float> x) const {
        return kernels::dot(x, weights) + constant;
    }
    [[nodiscard]] float probability(std::span<const float> x) const {
        return 1.0F / (1.0F + std::exp(-log_odds(x)));
    }
    void save(exit_writer& to) const {
        to.list(weights);
        to.number(constant);
    }
    static logistic load(exit_reader& from, std::size_t features) {
        logistic out;
        out.weights = from.list<float>("weights", features);
        out.constant = from.number<float>("constant");
        return out;
    }
};

struct logistic_options {
    double ridge = 1.0;     ///< λ
    bool balanced = false;  ///< both answers get the same total weight
    std::size_t steps = 12;
};

/// Minimises Σ_n s_n·(log(1 + e^{z_n}) - y_n·z_n) + λ/2·‖w‖² over w and c by Newton steps, on features
/// brought to mean 0 and deviation 1; s_n = 1, or balances the answers. x (N, Q); answers 0 or 1.
/// Cost N·Q² a step, memory N·Q. Throws xlens::error without examples.
inline logistic fit_logistic(rows<const float> x, std::span<const float> answers,
                             const logistic_options& options = {}) {
    const std::size_t n = x.count();
    const std::size_t q = x.width();
    if (n == 0) { fail("logistic regression: 0 examples, expected at least 1"); }
    std::vector<double> mean(q, 0.0);
    std::vector<double> scale(q, 0.0);
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t d = 0; d < q; ++d) { mean[d] += x[i][d]; }
    }
    for (double& m : mean) { m /= static_cast<double>(n); }
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t d = 0; d < q; ++d) {
            scale[d] += (x[i][d] - mean[d]) * (x[i][d] - mean[d]);
        }
    }
    for (double& s : scale) { s = std::sqrt(s / static_cast<double>(n)) + 1e-12; }
    double ones = 0.0;
    for (const float a : answers) { ones += a; }
    const double total = static_cast<double>(n);
    const double weight_one = options.balanced && ones > 0.0 ? total / (2.0 * ones) : 1.0;
    const double weight_zero =
        options.balanced && ones < total ? total / (2.0 * (total - ones)) : 1.0;

    xt::xtensor<float, 2> z = xt::ones<float>({n, q + 1});  // standardised, and a constant
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t d = 0; d < q; ++d) {
            z(i, d) = static_cast<float>((x[i][d] - mean[d]) / scale[d]);
        }
    }
    std::vector<double> w(q + 1, 0.0);
    xt::xtensor<float, 2> weighted = xt::empty<float>({n, q + 1});
    for (std::size_t step = 0; step < options.steps; ++step) {
        std::vector<double> gradient(q + 1, 0.0);
        for (std::size_t i = 0; i < n; ++i) {
            double score = 0.0;
            for (std::size_t d = 0; d <= q; ++d) { score += w[d] * z(i, d); }
            const double p = 1.0 / (1.0 + std::exp(-score));
            const double s = answers[i] > 0.5F ? weight_one : weight_zero;
            const double curvature = s * std::max(p * (1.0 - p), 1e-6);
            for (std::size_t d = 0; d <= q; ++d) {
                gradient[d] += s * (p - answers[i]) * z(i, d);
                weighted(i, d) = static_cast<float>(curvature * z(i, d));
            }
        }
        xt::xtensor<double, 2> hessian = detail::product_of_columns(weighted, z);
        for (std::size_t d = 0; d < q; ++d) { gradient[d] += options.ridge * w[d]; }
        for (std::size_t d = 0; d <= q; ++d) { hessian(d, d) += d < q ? options.ridge : 1e-6; }
        detail::cholesky(hessian);
        detail::solve_cholesky(hessian, gradient.data());
        double largest = 0.0;
        for (std::size_t d = 0; d <= q; ++d) {
            w[d] -= gradient[d];
            largest = std::max(largest, std::abs(gradient[d]));
        }
        if (largest < 1e-4) { break; }
    }
    logistic out;
    double constant = w[q];
    for (std::size_t d = 0; d < q; ++d) {
        out.weights.push_back(static_cast<float>(w[d] / scale[d]));
        constant -= w[d] * mean[d] / scale[d];
    }
    out.constant = static_cast<float>(constant);
    return out;
}

}  // namespace xlens
