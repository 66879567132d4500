// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE random_draws
#include <boost/test/unit_test.hpp>

#include <xlens/numerics/random_draws.hpp>

#include <set>
#include <vector>

using xlens::random_draws;

BOOST_AUTO_TEST_CASE(a_share_is_53_bits_of_the_generator) {
    // The 10000th number of a default mt19937_64 is fixed by the C++ standard.
    random_draws draw(5489);
    double last = 0.0;
    for (int i = 0; i < 10'000; ++i) { last = draw.share(); }
    BOOST_TEST(last == static_cast<double>(9981545732273789042ULL >> 11U) / 9007199254740992.0);
}

BOOST_AUTO_TEST_CASE(whole_numbers_are_below_their_bound_and_equally_likely) {
    random_draws draw(1);
    std::vector<int> seen(7);
    for (int i = 0; i < 70'000; ++i) { ++seen.at(draw.below(7)); }
    for (const int count : seen) { BOOST_TEST(std::abs(count - 10'000) < 500); }
    for (int i = 0; i < 100; ++i) { BOOST_TEST(draw.below(1) == 0U); }
}

BOOST_AUTO_TEST_CASE(an_index_without_weight_is_never_drawn) {
    random_draws draw(2);
    const std::vector<double> sums{0.0, 1.0, 1.0, 4.0, 4.0};
    std::vector<int> seen(5);
    for (int i = 0; i < 40'000; ++i) { ++seen.at(draw.weighted(sums)); }
    BOOST_TEST(seen[0] == 0);
    BOOST_TEST(std::abs(seen[1] - 10'000) < 500);
    BOOST_TEST(seen[2] == 0);
    BOOST_TEST(std::abs(seen[3] - 30'000) < 500);
    BOOST_TEST(seen[4] == 0);
}

BOOST_AUTO_TEST_CASE(a_sample_ascends_and_has_no_number_twice) {
    random_draws draw(3);
    std::vector<int> seen(10);
    for (int i = 0; i < 10'000; ++i) {
        const auto drawn = draw.sample(10, 4);
        BOOST_REQUIRE(drawn.size() == 4U);
        for (std::size_t j = 0; j < 4; ++j) {
            ++seen.at(drawn[j]);
            BOOST_REQUIRE((j == 0 || drawn[j - 1] < drawn[j]));
        }
    }
    for (const int count : seen) { BOOST_TEST(std::abs(count - 4'000) < 300); }
    BOOST_TEST(draw.sample(3, 9) == (std::vector<std::size_t>{0, 1, 2}));
    BOOST_TEST(draw.sample(3, 0).empty());
}
