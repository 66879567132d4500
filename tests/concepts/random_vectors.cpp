// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE random_vectors
#include <boost/test/unit_test.hpp>

#include <xlens/concepts/random_scores.hpp>
#include <xlens/concepts/random_vectors.hpp>

#include "support/error_message.hpp"
#include "support/rows_of_floats.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

using namespace xlens;
using namespace xlens::test;

BOOST_AUTO_TEST_CASE(the_stream_is_splitmix64) {
    // The states that its definition walks through from the stream's first: the finaliser of
    // multiples of 0x9E3779B97F4A7C15, in plain arithmetic.
    const auto finalised = [](std::uint64_t z) {
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
        return z ^ (z >> 31U);
    };
    random_stream draw(0, 0);  // begins at 0
    for (std::uint64_t i = 1; i <= 5; ++i) {
        BOOST_TEST(draw() == finalised(i * 0x9E3779B97F4A7C15U));
    }
    // The first number of SplitMix64 from state 0 that is found everywhere.
    BOOST_TEST(random_stream(0, 0)() == 0xE220A8397B1DCDAFU);
    BOOST_TEST(random_stream(0, 1)() != random_stream(0, 0)());
    BOOST_TEST(random_stream(1, 0)() != random_stream(0, 0)());
}

BOOST_AUTO_TEST_CASE(the_logarithm_is_exact_to_a_few_units) {
    double largest = 0.0;
    for (double x = 1e-300; x < 1e300; x *= 1.37) {
        const double expected = std::log(x);
        const double error = std::abs(random_stream::log(x) - expected);
        largest = std::max(largest, error / std::max(std::abs(expected), 1e-3));
    }
    for (int i = -999; i < 1000; ++i) {  // where the logarithm is small
        const double x = 1.0 + i * 1e-4;
        largest = std::max(largest, std::abs(random_stream::log(x) - std::log(x)) /
                                        std::max(std::abs(std::log(x)), 1e-3));
    }
    BOOST_TEST(largest < 1e-14);
    BOOST_TEST(random_stream::log(1.0) == 0.0);
}

BOOST_AUTO_TEST_CASE(normal_numbers_are_the_same_on_every_machine) {
    // The same steps in Python, its fractions rounded once where a fused multiply-add rounds.
    random_stream draw(7, 3);
    for (const double expected :
         {0x1.62f5e4a82b349p-1, -0x1.3763d2b87256bp-1, -0x1.2212ed21c8749p-1, -0x1.3ffbc1d5e3c0fp+0,
          -0x1.6988d15f5b3fep+0, -0x1.a51fce7e9fabdp-4}) {
        BOOST_TEST(draw.normal() == expected);
    }
}

BOOST_AUTO_TEST_CASE(normal_numbers_are_normal) {
    constexpr std::size_t count = 400'000;
    std::vector<double> x(count);
    random_stream draw(11);
    for (double& v : x) { v = draw.normal(); }
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

BOOST_AUTO_TEST_CASE(they_have_the_mean_and_the_variance_of_the_vectors) {
    constexpr std::size_t count = 37;
    constexpr std::size_t width = 19;
    auto data = random_row(count * width, 3);
    for (std::size_t i = 0; i < data.size(); ++i) {
        data[i] =
            data[i] * static_cast<float>(1 + i % width) + static_cast<float>(i % width) - 9.0F;
    }
    const rows<const float> real(data.data(), count, width);
    const vector_moments moments(real);
    for (std::size_t d = 0; d < width; ++d) {
        double mean = 0.0;
        double squares = 0.0;
        for (std::size_t n = 0; n < count; ++n) { mean += double{real[n][d]} / count; }
        for (std::size_t n = 0; n < count; ++n) {
            squares += std::pow(double{real[n][d]} - mean, 2) / count;
        }
        BOOST_TEST(std::abs(double{moments.mean[d]} - mean) < 1e-5);
        BOOST_TEST(std::abs(double{moments.deviation[d]} - std::sqrt(squares)) < 1e-5);
    }

    constexpr std::size_t drawn = 40'000;
    const random_vectors random(moments, 5);
    const xt::xtensor<float, 2> some = random.some(0, drawn);
    const vector_moments found((rows<const float>(some)));
    for (std::size_t d = 0; d < width; ++d) {
        const float unit = 5.0F * moments.deviation[d] / std::sqrt(static_cast<float>(drawn));
        BOOST_TEST(std::abs(found.mean[d] - moments.mean[d]) < unit);
        BOOST_TEST(std::abs(found.deviation[d] - moments.deviation[d]) < unit);
    }
}

BOOST_AUTO_TEST_CASE(a_vector_depends_on_seed_and_number_alone) {
    vector_moments like;
    like.mean.assign(600, 0.5F);
    like.deviation.assign(600, 2.0F);
    const random_vectors random(like, 9);
    set_threads(1);
    const auto one = random.some(0, 300);
    set_threads(2);
    const auto two = random.some(0, 300);
    BOOST_TEST((one == two));
    const auto later = random.some(120, 7);
    BOOST_TEST((later == xt::view(one, xt::range(120, 127), xt::all())));
    const auto moved = random_vectors(like, 9, 120).some(0, 7);
    BOOST_TEST((later == moved));
    const auto other_seed = random_vectors(like, 10).some(0, 300);
    BOOST_TEST((one != other_seed));
    // Two vectors have nothing to do with each other.
    double product = 0.0;
    for (std::size_t d = 0; d < 600; ++d) {
        product += double{one(0, d) - 0.5F} * double{one(1, d) - 0.5F} / 4.0;
    }
    BOOST_TEST(std::abs(product) < 5.0 * std::sqrt(600.0));
}

BOOST_AUTO_TEST_CASE(shares_of_random_scores) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const random_scores scores({1.0F, nan, 4.0F, 2.0F, 2.0F});
    BOOST_TEST(scores.count() == 4U);
    BOOST_TEST(scores.best() == 4.0F);
    BOOST_TEST(scores.mean() == 2.25);
    BOOST_TEST(scores.share(4.5F) == 0.0);
    BOOST_TEST(scores.share(4.0F) == 0.25);
    BOOST_TEST(scores.share(2.0F) == 0.75);
    BOOST_TEST(scores.share(1.5F) == 0.75);
    BOOST_TEST(scores.share(0.0F) == 1.0);
    BOOST_TEST(error_message([&] { random_scores({nan}); }) ==
               "control: expected the scores of random vectors, got none");
}
