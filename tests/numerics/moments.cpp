// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE moments
#include <boost/test/unit_test.hpp>

#include <xlens/numerics/moments.hpp>

#include "support/rows_of_floats.hpp"

#include <cmath>
#include <cstddef>
#include <vector>

using namespace xlens;

BOOST_AUTO_TEST_CASE(mean_and_deviation_of_every_column) {
    constexpr std::size_t count = 37;
    constexpr std::size_t width = 19;
    std::vector<float> data = test::random_row(count * width, 3);
    for (std::size_t i = 0; i < data.size(); ++i) {
        data[i] =
            data[i] * static_cast<float>(1 + i % width) + static_cast<float>(i % width) * 1e3F;
    }
    const column_moments found(rows<const float>(data.data(), count, width));
    for (std::size_t d = 0; d < width; ++d) {
        double mean = 0.0;
        double squares = 0.0;
        for (std::size_t n = 0; n < count; ++n) { mean += double{data[n * width + d]} / count; }
        for (std::size_t n = 0; n < count; ++n) {
            squares += std::pow(double{data[n * width + d]} - mean, 2) / count;
        }
        BOOST_TEST(std::abs(found.mean[d] - mean) < 1e-10);
        BOOST_TEST(std::abs(found.deviation[d] - std::sqrt(squares)) < 1e-10);
    }
}
