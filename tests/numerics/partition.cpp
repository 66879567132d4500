// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE partition
#include <boost/test/unit_test.hpp>

#include <xlens/numerics/partition.hpp>

#include "support/error_message.hpp"
#include "support/rows_of_floats.hpp"

#include <cmath>
#include <random>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

vector_groups random_labels(std::size_t n, std::uint32_t k, std::uint32_t seed) {
    std::mt19937 generator(seed);
    vector_groups out(n);
    for (auto& label : out) { label = static_cast<std::uint32_t>(generator() % k); }
    return out;
}

/// By looking at every pair, as Hubert and Arabie define it.
double slow_adjusted_rand_index(const vector_groups& a, const vector_groups& b) {
    double both = 0.0;
    double in_a = 0.0;
    double in_b = 0.0;
    double pairs = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        for (std::size_t j = i + 1; j < a.size(); ++j) {
            pairs += 1.0;
            in_a += a[i] == a[j] ? 1.0 : 0.0;
            in_b += b[i] == b[j] ? 1.0 : 0.0;
            both += a[i] == a[j] && b[i] == b[j] ? 1.0 : 0.0;
        }
    }
    const double expected = in_a * in_b / pairs;
    return (both - expected) / ((in_a + in_b) / 2.0 - expected);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_adjusted_rand_index_is_that_of_all_pairs) {
    for (std::uint32_t seed = 0; seed < 5; ++seed) {
        const vector_groups a = random_labels(60, 4 + seed, seed);
        vector_groups b = random_labels(60, 5, seed + 100);
        for (std::size_t i = 0; i < 30; ++i) { b[i] = a[i]; }
        BOOST_TEST(adjusted_rand_index(a, b) == slow_adjusted_rand_index(a, b),
                   boost::test_tools::tolerance(1e-12));
    }
    const vector_groups a{0, 0, 1, 1, 2};
    const vector_groups renamed{7, 7, 0, 0, 3};
    BOOST_TEST(adjusted_rand_index(a, renamed) == 1.0);
    BOOST_TEST(adjusted_rand_index(vector_groups{0, 0}, vector_groups{0, 0}) == 1.0);
    BOOST_TEST(error_message([&] { return adjusted_rand_index(a, vector_groups{0}); }) ==
               "partitions of 5 and of 1 things cannot be compared");
}

BOOST_AUTO_TEST_CASE(sums_give_cohesion_and_inertia) {
    const std::size_t n = 40;
    const std::size_t width = 7;
    std::vector<float> values = random_row(n * width, 1);
    for (std::size_t i = 0; i < n; ++i) {
        double squares = 0.0;
        for (std::size_t d = 0; d < width; ++d) { squares += std::pow(values[i * width + d], 2.0); }
        for (std::size_t d = 0; d < width; ++d) {
            values[i * width + d] /= static_cast<float>(std::sqrt(squares));
        }
    }
    const vector_groups labels = random_labels(n, 3, 2);  // of 4: the last stays empty
    const auto sums = sum_clusters({values.data(), n, width}, labels, 4);
    double inertia = 0.0;
    for (std::uint32_t c = 0; c < 3; ++c) {
        std::vector<double> centroid(width);
        std::size_t size = 0;
        for (std::size_t i = 0; i < n; ++i) {
            if (labels[i] != c) { continue; }
            ++size;
            for (std::size_t d = 0; d < width; ++d) { centroid[d] += values[i * width + d]; }
        }
        double squares = 0.0;
        for (const double x : centroid) { squares += x * x; }
        double cosines = 0.0;
        for (std::size_t i = 0; i < n; ++i) {
            for (std::size_t d = 0; d < width && labels[i] == c; ++d) {
                cosines += centroid[d] / std::sqrt(squares) * values[i * width + d];
            }
        }
        inertia += static_cast<double>(size) - cosines;
        BOOST_TEST(sums.sizes[c] == size);
        BOOST_TEST(sums.cohesion(c) == cosines / static_cast<double>(size),
                   boost::test_tools::tolerance(1e-6));
    }
    BOOST_TEST(sums.inertia() == inertia, boost::test_tools::tolerance(1e-6));
    BOOST_TEST(sums.sizes[3] == 0U);
    BOOST_TEST(sums.cohesion(3) == 0.0);
}
