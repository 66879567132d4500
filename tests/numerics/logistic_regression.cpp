// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE logistic_regression
#include <boost/test/unit_test.hpp>

#include <xlens/numerics/logistic_regression.hpp>

#include "support/error_message.hpp"
#include "support/rows_of_floats.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

xt::xtensor<float, 2> filled(std::size_t count, std::size_t columns, unsigned seed) {
    const std::vector<float> values = random_row(count * columns, seed);
    xt::xtensor<float, 2> out = xt::empty<float>({count, columns});
    std::copy(values.begin(), values.end(), out.begin());
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(logistic_regression_finds_the_maximum) {
    constexpr std::size_t n = 400;
    const auto x = filled(n, 3, 21);
    const std::vector<float> noise = random_row(n, 22);
    std::vector<float> y(n);
    for (std::size_t i = 0; i < n; ++i) {
        y[i] = 2.0F * x(i, 0) - x(i, 1) + 0.5F + noise[i] > 0.0F ? 1.0F : 0.0F;
    }
    const logistic found = fit_logistic(x, y, {.ridge = 1e-6});
    // At the maximum the gradient is 0: Σ (p - y)·x and Σ (p - y).
    std::vector<double> gradient(4, 0.0);
    for (std::size_t i = 0; i < n; ++i) {
        const double off = double{found.probability(rows<const float>(x)[i])} - y[i];
        for (std::size_t d = 0; d < 3; ++d) { gradient[d] += off * x(i, d); }
        gradient[3] += off;
    }
    for (const double g : gradient) { BOOST_TEST(std::abs(g) < 0.05); }
    BOOST_TEST(found.weights[0] > 0.0F);
    BOOST_TEST(found.weights[1] < 0.0F);
    BOOST_TEST(error_message([&] { fit_logistic(rows<const float>(), {}); }) ==
               "logistic regression: 0 examples, expected at least 1");
}

BOOST_AUTO_TEST_CASE(balanced_answers_weigh_the_same) {
    // One feature that says nothing: what is left is the constant, the log of the answers' weights.
    constexpr std::size_t n = 100;
    const xt::xtensor<float, 2> x = xt::zeros<float>({n, std::size_t{1}});
    std::vector<float> y(n, 0.0F);
    for (std::size_t i = 0; i < 20; ++i) { y[i] = 1.0F; }
    BOOST_TEST(std::abs(fit_logistic(x, y, {}).constant - std::log(0.2F / 0.8F)) < 1e-3F);
    BOOST_TEST(std::abs(fit_logistic(x, y, {.balanced = true}).constant) < 1e-3F);
}
