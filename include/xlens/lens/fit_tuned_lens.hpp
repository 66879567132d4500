// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/lens/fit_linear_lens.hpp>
#include <xlens/lens/linear_lens.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#if XLENS_DEFINES(lens)
#include <xlens/core/parallel.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/softmax.hpp>
#endif

namespace xlens {

struct tuned_lens_options {
    std::size_t passes = 3;    ///< over the examples
    std::size_t batch = 1024;  ///< examples a step
    double rate = 8e-4;        ///< of Adam; falls linearly to 0
    std::uint64_t seed = 0;    ///< of the order of the examples
};

namespace detail {

/// Adam (Kingma and Ba 2015, 1412.6980) on one array of parameters.
class adam {
public:
    explicit adam(std::size_t size) : m_mean(size), m_square(size) {}

    void step(std::span<float> parameters, std::span<const float> gradient, double rate);

private:
    std::vector<float> m_mean;
    std::vector<float> m_square;
    double m_steps = 0.0;
};

/// The directions of some tokens, and where each target stands among them.
struct contrast {
    xt::xtensor<float, 2> directions;  // (S, D)
    std::vector<std::size_t> place;    // one an example
};

/// The common tokens and, after them, the targets of a batch that are not among these.
template <class Directions>
contrast contrast_of(std::span<const token_id> common, std::span<const token_id> targets,
                     std::size_t width, Directions directions) {
    std::vector<token_id> tokens(common.begin(), common.end());
    tokens.insert(tokens.end(), targets.begin(), targets.end());
    std::sort(tokens.begin(), tokens.end());
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    contrast out{xt::empty<float>({tokens.size(), width}), {}};
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        directions(tokens[i], rows<float>(out.directions)[i]);
    }
    for (const token_id t : targets) {
        const auto at = std::lower_bound(tokens.begin(), tokens.end(), t);
        out.place.push_back(static_cast<std::size_t>(at - tokens.begin()));
    }
    return out;
}

/// Gradient of the mean of -log softmax(⟨e, ŷ⟩)(target) to y, into y itself (N, D), where ŷ is y of
/// unit RMS. Returns the loss.
XLENS_API double cross_entropy_gradient(const contrast& against, rows<float> y);

}  // namespace detail

/// Tunes a layer's map for what it is used for: that the lens names the token that the model will
/// name. Minimises by Adam, from the map given (a ridge fit), the mean over the examples of
///   -log softmax_w(⟨γ⊙e_w, ŷ⟩)(target),   ŷ = A·x̂ + b of unit RMS
/// where w runs over `common` tokens and the batch's targets alone, which costs a twentieth of the
/// vocabulary. A tuned lens (2303.08112) is trained towards the model's whole distribution; here
/// the target is the model's top token, so that a probability is one of agreement.
/// `directions(token, out)` gives γ⊙e_w (logit_lens::direction). Cost 6·N·S·D multiply-adds a pass.
template <class Directions>
translator tune(translator start, rows<const float> from, std::span<const token_id> targets,
                std::span<const token_id> common, Directions directions,
                const tuned_lens_options& options = {}) {
    const std::size_t width = from.width();
    const std::size_t taken = std::min(options.batch, from.count());
    const std::size_t steps = options.passes * (from.count() / std::max<std::size_t>(taken, 1));
    detail::adam weights(width * width);
    detail::adam bias(width);
    std::mt19937_64 random(options.seed);
    std::vector<std::size_t> order;
    xt::xtensor<float, 2> x = xt::empty<float>({taken, width});
    xt::xtensor<float, 2> y = xt::empty<float>({taken, width});
    std::vector<token_id> wanted(taken);
    for (std::size_t step = 0; step < steps; ++step) {
        for (std::size_t i = 0; i < taken; ++i) {
            if (order.empty()) {
                for (std::size_t n = 0; n < from.count(); ++n) { order.push_back(n); }
            }
            // Drawn without replacement: the last one takes the place of the drawn one.
            const std::size_t drawn = random() % order.size();
            const std::size_t n = order[drawn];
            order[drawn] = order.back();
            order.pop_back();
            std::copy(from[n].begin(), from[n].end(), rows<float>(x)[i].begin());
            wanted[i] = targets[n];
        }
        y = x;
        start(y);
        detail::cross_entropy_gradient(detail::contrast_of(common, wanted, width, directions), y);
        unit_rms(x, x);
        const xt::xtensor<float, 2> gradient = detail::product_of_columns(y, x);
        std::vector<float> to_bias(width, 0.0F);
        for (std::size_t i = 0; i < taken; ++i) {
            for (std::size_t d = 0; d < width; ++d) { to_bias[d] += y(i, d); }
        }
        const double rate =
            options.rate * (1.0 - static_cast<double>(step) / static_cast<double>(steps));
        weights.step({start.weights.data(), start.weights.size()},
                     {gradient.data(), gradient.size()}, rate);
        bias.step({start.bias.data(), width}, to_bias, rate);
    }
    return start;
}

#if XLENS_DEFINES(lens)

namespace detail {

XLENS_API void adam::step(std::span<float> parameters, std::span<const float> gradient,
                          double rate) {
    constexpr double keep_mean = 0.9;
    constexpr double keep_square = 0.999;
    ++m_steps;
    const double mean_part = 1.0 - std::pow(keep_mean, m_steps);
    const double square_part = 1.0 - std::pow(keep_square, m_steps);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        const double g = gradient[i];
        m_mean[i] = static_cast<float>(keep_mean * m_mean[i] + (1.0 - keep_mean) * g);
        m_square[i] = static_cast<float>(keep_square * m_square[i] + (1.0 - keep_square) * g * g);
        const double size = std::sqrt(m_square[i] / square_part) + 1e-8;
        parameters[i] -= static_cast<float>(rate * m_mean[i] / mean_part / size);
    }
}

XLENS_API double cross_entropy_gradient(const contrast& against, rows<float> y) {
    const std::size_t n = y.count();
    const matrix<f32> e = as_matrix(against.directions);
    xt::xtensor<float, 2> unit = xt::empty<float>({n, y.width()});
    unit_rms(y, unit);
    xt::xtensor<float, 2> p = xt::empty<float>({n, e.rows()});
    kernels::matmul(e, unit, p);
    std::vector<float> losses(n);
    parallel_for(n, 8 * e.rows(), [&](std::size_t i) {
        const std::span<float> row = rows<float>(p)[i];
        const float log_sum = kernels::log_sum_exp(row);
        losses[i] = log_sum - row[against.place[i]];
        for (float& z : row) { z = std::exp(z - log_sum) / static_cast<float>(n); }
        row[against.place[i]] -= 1.0F / static_cast<float>(n);
    });
    xt::xtensor<float, 2> to_unit = xt::empty<float>({n, y.width()});
    kernels::matmul_transposed(e, p, to_unit);
    parallel_for(n, 8 * y.width(), [&](std::size_t i) {
        const auto width = static_cast<float>(y.width());
        const std::span<const float> u = rows<const float>(unit)[i];
        const std::span<const float> g = rows<const float>(to_unit)[i];
        const float along = kernels::dot(g, u) / width;
        const float rms = std::sqrt(kernels::dot(y[i], y[i]) / width + 1e-5F);
        for (std::size_t d = 0; d < y.width(); ++d) { y[i][d] = (g[d] - u[d] * along) / rms; }
    });
    double loss = 0.0;
    for (const float l : losses) { loss += l; }
    return loss / static_cast<double>(n);
}

}  // namespace detail

#endif

}  // namespace xlens
