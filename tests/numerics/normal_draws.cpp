// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE normal_draws
#include <boost/test/unit_test.hpp>

#include <xlens/numerics/normal_draws.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

using namespace xlens;

BOOST_AUTO_TEST_CASE(the_logarithm_is_exact_to_a_few_units) {
    double largest = 0.0;
    for (double x = 1e-300; x < 1e300; x *= 1.37) {
        const double expected = std::log(x);
        const double error = std::abs(normal_draws::log(x) - expected);
        largest = std::max(largest, error / std::max(std::abs(expected), 1e-3));
    }
    for (int i = -999; i < 1000; ++i) {  // where the logarithm is small
        const double x = 1.0 + i * 1e-4;
        largest = std::max(largest, std::abs(normal_draws::log(x) - std::log(x)) /
                                        std::max(std::abs(std::log(x)), 1e-3));
    }
    BOOST_TEST(largest < 1e-14);
    BOOST_TEST(normal_draws::log(1.0) == 0.0);
}

BOOST_AUTO_TEST_CASE(normal_numbers_are_the_same_on_every_machine) {
    // The same steps in Python, its fractions rounded once where a fused multiply-add rounds.
    normal_draws draw(7, 3);
    for (const double expected :
         {0x1.62f5e4a82b349p-1, -0x1.3763d2b87256bp-1, -0x1.2212ed21c8749p-1, -0x1.3ffbc1d5e3c0fp+0,
          -0x1.6988d15f5b3fep+0, -0x1.a51fce7e9fabdp-4}) {
        BOOST_TEST(draw() == expected);
    }
}

BOOST_AUTO_TEST_CASE(normal_numbers_are_normal) {
    constexpr std::size_t count = 400'000;
    std::vector<double> x(count);
    normal_draws draw(11);
    for (double& v : x) { v = draw(); }
    double moments[4] = {};
    for (const double v : x) {
        for (int p = 0; p < 4; ++p) { moments[p] += std::pow(v, p + 1) / count; }
    }
    // Within five standard errors: 1, √2, √15, √96 over √count.
    const double unit = 5.0 / std::sqrt(static_cast<double>(count));
    BOOST_TEST(std::abs(moments[0]) < unit);
    BOOST_TEST(std::abs(moments[1] - 1.0) < unit * std::sqrt(2.0));
    BOOST_TEST(std::abs(moments[2]) < unit * std::sqrt(15.0));
    BOOST_TEST(std::abs(moments[3] - 3.0) < unit * std::sqrt(96.0));
    // Kolmogorov and Smirnov: 1.95 / √count is passed once in a thousand.
    std::ranges::sort(x);
    double farthest = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
        const double expected = 0.5 * std::erfc(-x[i] / std::sqrt(2.0));
        farthest = std::max(farthest, std::abs(expected - static_cast<double>(i) / count));
    }
    BOOST_TEST(farthest < 1.95 / std::sqrt(static_cast<double>(count)));
}

BOOST_AUTO_TEST_CASE(the_number_of_64_bits_is_that_of_box_and_muller) {
    // √(-2·log u)·cos(2π·a), u and a the two halves over 2^32, u moved by one so that it is not 0.
    BOOST_TEST(normal_of(0x7fffffff00000000U) == 1.1774100225F,
               boost::test_tools::tolerance(1e-7F));
    BOOST_TEST(normal_of(0x7fffffff80000000U) == -1.1774100225F,
               boost::test_tools::tolerance(1e-7F));
    BOOST_TEST(normal_of(0xffffffff12345678U) == 0.0F);
    BOOST_TEST(normal_of(0) == 6.6604401F, boost::test_tools::tolerance(1e-6F));  // the farthest
    double sum = 0.0;
    double squares = 0.0;
    constexpr std::size_t count = 400'000;
    for (std::uint64_t i = 0; i < count; ++i) {
        const double x = normal_of(splitmix64::of(5, i));
        sum += x / count;
        squares += x * x / count;
    }
    BOOST_TEST(std::abs(sum) < 5.0 / std::sqrt(double{count}));
    BOOST_TEST(std::abs(squares - 1.0) < 5.0 * std::sqrt(2.0 / count));
}
