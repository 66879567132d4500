// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE random_vectors
#include <boost/test/unit_test.hpp>

#include <xlens/concepts/random_scores.hpp>
#include <xlens/concepts/random_vectors.hpp>
#include <xlens/core/parallel.hpp>

#include "support/error_message.hpp"
#include "support/rows_of_floats.hpp"

#include <cmath>
#include <limits>
#include <vector>

using namespace xlens;
using namespace xlens::test;

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
