// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE linear_lens
#include <boost/test/unit_test.hpp>

#include <xlens/lens/fit_linear_lens.hpp>
#include <xlens/lens/fit_tuned_lens.hpp>

#include "support/error_message.hpp"
#include "support/rows_of_floats.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

xt::xtensor<float, 2> filled(std::size_t count, std::size_t width, unsigned seed) {
    const std::vector<float> values = random_row(count * width, seed);
    xt::xtensor<float, 2> out = xt::empty<float>({count, width});
    std::copy(values.begin(), values.end(), out.begin());
    return out;
}

std::vector<double> unit(std::span<const float> x) {
    double squares = 0.0;
    for (const float v : x) { squares += double{v} * v; }
    std::vector<double> out;
    for (const float v : x) {
        out.push_back(v / std::sqrt(squares / static_cast<double>(x.size()) + 1e-5));
    }
    return out;
}

}  // namespace

// At the minimum the gradient is 0: Σ_n (A·x̂ + b - ŷ)·(x̂; 1)ᵀ + λ·(A; b) = 0.
BOOST_AUTO_TEST_CASE(ridge_regression_is_at_its_minimum) {
    constexpr std::size_t n = 60;
    constexpr std::size_t width = 9;
    constexpr double lambda = 3.0;
    const auto from = filled(n, width, 1);
    const auto to = filled(n, width, 2);
    ridge_fit sums(width);
    sums.add(rows<const float>(from).subrows(0, 17), rows<const float>(to).subrows(0, 17));
    sums.add(rows<const float>(from).subrows(17, n - 17),
             rows<const float>(to).subrows(17, n - 17));
    const translator t = sums.solve(lambda);
    for (std::size_t d = 0; d < width; ++d) {
        std::vector<double> gradient(width + 1, 0.0);
        for (std::size_t i = 0; i < n; ++i) {
            const auto x = unit(rows<const float>(from)[i]);
            double off = t.bias(d) - unit(rows<const float>(to)[i])[d];
            for (std::size_t j = 0; j < width; ++j) { off += t.weights(d, j) * x[j]; }
            for (std::size_t j = 0; j < width; ++j) { gradient[j] += off * x[j]; }
            gradient[width] += off;
        }
        for (std::size_t j = 0; j < width; ++j) { gradient[j] += lambda * t.weights(d, j); }
        gradient[width] += lambda * t.bias(d);
        for (const double g : gradient) { BOOST_TEST(std::abs(g) < 1e-3); }
    }
    BOOST_TEST(error_message([] { static_cast<void>(ridge_fit(2).solve()); }) ==
               "linear lens: 0 examples, expected at least 1");
}

BOOST_AUTO_TEST_CASE(a_lens_changes_only_layers_that_it_has) {
    linear_lens lens;
    translator t{filled(4, 4, 5), xt::ones<float>({std::size_t{4}})};
    lens.set(3, t);
    const auto x = filled(2, 4, 6);
    xt::xtensor<float, 2> y = x;
    lens.translate(2, y);
    BOOST_TEST(same_bits({y.data(), y.size()}, {x.data(), x.size()}));
    lens.translate(3, y);
    for (std::size_t n = 0; n < 2; ++n) {
        const auto in = unit(rows<const float>(x)[n]);
        for (std::size_t d = 0; d < 4; ++d) {
            double expected = 1.0;
            for (std::size_t i = 0; i < 4; ++i) { expected += t.weights(d, i) * in[i]; }
            BOOST_TEST(std::abs(y(n, d) - expected) < 1e-5);
        }
    }
}

BOOST_AUTO_TEST_CASE(the_gradient_is_that_of_finite_differences) {
    const auto y = filled(3, 5, 7);
    const detail::contrast against{filled(6, 5, 8), {2, 0, 5}};
    const auto loss = [&](xt::xtensor<float, 2> at) {
        double total = 0.0;
        for (std::size_t n = 0; n < 3; ++n) {
            const auto u = unit(rows<const float>(at)[n]);
            std::vector<double> z(6, 0.0);
            double sum = 0.0;
            for (std::size_t s = 0; s < 6; ++s) {
                for (std::size_t d = 0; d < 5; ++d) { z[s] += against.directions(s, d) * u[d]; }
                sum += std::exp(z[s]);
            }
            total += std::log(sum) - z[against.place[n]];
        }
        return total / 3.0;
    };
    xt::xtensor<float, 2> gradient = y;
    BOOST_TEST(std::abs(detail::cross_entropy_gradient(against, gradient) - loss(y)) < 1e-5);
    for (std::size_t i = 0; i < y.size(); ++i) {
        constexpr float step = 1e-2F;
        xt::xtensor<float, 2> up = y;
        xt::xtensor<float, 2> down = y;
        up.data()[i] += step;
        down.data()[i] -= step;
        BOOST_TEST(std::abs(gradient.data()[i] - (loss(up) - loss(down)) / (2.0 * step)) < 1e-3);
    }
}

BOOST_AUTO_TEST_CASE(tuning_makes_the_lens_name_the_targets) {
    constexpr std::size_t n = 256;
    constexpr std::size_t width = 16;
    constexpr std::size_t tokens = 8;
    const auto directions = filled(tokens, width, 9);
    const auto x = filled(n, width, 10);
    const auto hidden = filled(tokens, width, 11);
    std::vector<token_id> targets;  // decided by other directions than the unembedding's
    std::vector<token_id> common;
    for (std::size_t t = 0; t < tokens; ++t) { common.push_back(static_cast<token_id>(t)); }
    const auto best = [](const xt::xtensor<float, 2>& e, std::span<const float> at) {
        std::size_t out = 0;
        double high = -1e9;
        for (std::size_t t = 0; t < e.shape(0); ++t) {
            double z = 0.0;
            for (std::size_t d = 0; d < at.size(); ++d) { z += e(t, d) * at[d]; }
            if (z > high) { high = z, out = t; }
        }
        return static_cast<token_id>(out);
    };
    for (std::size_t i = 0; i < n; ++i) {
        targets.push_back(best(hidden, rows<const float>(x)[i]));
    }
    translator start{xt::zeros<float>({width, width}), xt::zeros<float>({width})};
    for (std::size_t d = 0; d < width; ++d) { start.weights(d, d) = 1.0F; }
    const auto right = [&](const translator& t) {
        xt::xtensor<float, 2> y = x;
        t(y);
        std::size_t out = 0;
        for (std::size_t i = 0; i < n; ++i) {
            out += best(directions, rows<const float>(y)[i]) == targets[i] ? 1U : 0U;
        }
        return out;
    };
    const auto give = [&](token_id w, std::span<float> out) {
        std::ranges::copy(rows<const float>(directions)[static_cast<std::size_t>(w)], out.begin());
    };
    const tuned_lens_options options{.passes = 60, .batch = 64, .rate = 0.02};
    const translator tuned = tune(start, x, targets, common, give, options);
    BOOST_TEST(right(start) < n / 2);
    BOOST_TEST(right(tuned) > n * 8 / 10);
    const translator again = tune(start, x, targets, common, give, options);
    BOOST_TEST(same_bits({tuned.weights.data(), tuned.weights.size()},
                         {again.weights.data(), again.weights.size()}));
}
