// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE directions
#include <boost/test/unit_test.hpp>

#include <xlens/numerics/directions.hpp>

#include "support/error_message.hpp"
#include "support/rows_of_floats.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

xt::xtensor<float, 2> drawn_vectors(std::size_t n, std::size_t width, std::uint32_t seed) {
    const std::vector<float> values = random_row(n * width, seed);
    xt::xtensor<float, 2> out = xt::empty<float>({n, width});
    std::copy(values.begin(), values.end(), out.begin());
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(vectors_get_length_one_and_keep_their_direction) {
    const auto vectors = drawn_vectors(9, 37, 1);
    const unit_directions found = directions_of(xt::xtensor<float, 2>(vectors));
    BOOST_REQUIRE(found.count() == 9U);
    for (std::size_t i = 0; i < 9; ++i) {
        double squares = 0.0;
        for (std::size_t d = 0; d < 37; ++d) { squares += std::pow(double{vectors(i, d)}, 2); }
        BOOST_TEST(found.lengths[i] == std::sqrt(squares), boost::test_tools::tolerance(1e-12));
        BOOST_TEST(found.kept[i] == i);
        for (std::size_t d = 0; d < 37; ++d) {
            BOOST_TEST(found.unit(i, d) == static_cast<float>(vectors(i, d) / std::sqrt(squares)),
                       boost::test_tools::tolerance(1e-6F));
        }
    }
}

BOOST_AUTO_TEST_CASE(what_has_no_direction_is_left_out) {
    auto vectors = drawn_vectors(5, 4, 2);
    for (std::size_t d = 0; d < 4; ++d) { vectors(0, d) = 0.0F; }
    vectors(2, 1) = std::numeric_limits<float>::quiet_NaN();
    vectors(3, 3) = -std::numeric_limits<float>::infinity();
    const auto before = vectors;
    const unit_directions found = directions_of(std::move(vectors));
    BOOST_TEST(found.kept == (std::vector<std::size_t>{1, 4}), boost::test_tools::per_element());
    BOOST_REQUIRE(found.unit.shape(0) == 2U);
    BOOST_TEST(found.unit(1, 0) == static_cast<float>(before(4, 0) / found.lengths[1]),
               boost::test_tools::tolerance(1e-6F));
    BOOST_TEST(directions_of(xt::zeros<float>({3, 4})).count() == 0U);
}

BOOST_AUTO_TEST_CASE(very_long_and_very_short_vectors_have_a_direction) {
    for (const float size : {1e-30F, 1e30F}) {
        xt::xtensor<float, 2> vectors{{3.0F * size, 4.0F * size}};
        const unit_directions found = directions_of(std::move(vectors));
        BOOST_REQUIRE(found.count() == 1U);
        BOOST_TEST(found.unit(0, 0) == 0.6F, boost::test_tools::tolerance(1e-6F));
        BOOST_TEST(found.unit(0, 1) == 0.8F, boost::test_tools::tolerance(1e-6F));
    }
}

BOOST_AUTO_TEST_CASE(a_shuffle_permutes_every_column_by_itself) {
    const auto before = drawn_vectors(200, 3, 3);
    auto after = before;
    shuffle_components(after, 5);
    std::size_t rows_that_stayed = 0;
    for (std::size_t d = 0; d < 3; ++d) {
        std::vector<float> a;
        std::vector<float> b;
        for (std::size_t i = 0; i < 200; ++i) {
            a.push_back(before(i, d));
            b.push_back(after(i, d));
        }
        BOOST_TEST(a != b);
        std::ranges::sort(a);
        std::ranges::sort(b);
        BOOST_TEST(a == b);
    }
    for (std::size_t i = 0; i < 200; ++i) {
        for (std::size_t j = 0; j < 200; ++j) {
            rows_that_stayed += before(i, 0) == after(j, 0) && before(i, 1) == after(j, 1) ? 1 : 0;
        }
    }
    BOOST_TEST(rows_that_stayed < 10U);  // 1 is expected
    auto again = before;
    shuffle_components(again, 5);
    BOOST_TEST((again == after));
    shuffle_components(again, 6);
    BOOST_TEST((again != after));
}

BOOST_AUTO_TEST_CASE(only_vectors_of_length_one_pass_the_check) {
    xt::xtensor<float, 2> vectors{{0.6F, 0.8F}, {0.0F, 0.0F}};
    BOOST_TEST(error_message([&] { detail::check_unit(vectors); }) ==
               "vector 1: expected length 1, got 0: only directions can be clustered");
    vectors(1, 0) = std::numeric_limits<float>::quiet_NaN();
    BOOST_TEST(error_message([&] { detail::check_unit(vectors); }) ==
               "vector 1: expected length 1, got nan: only directions can be clustered");
}
