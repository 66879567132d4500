// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE exit_splits
#include <boost/test/unit_test.hpp>

#include <xlens/analysis/exit_splits.hpp>

#include <cstddef>
#include <limits>
#include <random>
#include <set>
#include <vector>

using namespace xlens;

BOOST_AUTO_TEST_CASE(the_threshold_is_the_lowest_that_is_precise) {
    std::mt19937 random(7);
    for (int round = 0; round < 200; ++round) {
        std::vector<float> scores;
        std::vector<float> answers;
        for (int i = 0; i < 12; ++i) {
            scores.push_back(static_cast<float>(random() % 8) / 8.0F);  // with ties
            answers.push_back(random() % 3 != 0 ? 1.0F : 0.0F);
        }
        float expected = std::numeric_limits<float>::infinity();
        for (const float t : std::set<float>(scores.begin(), scores.end())) {
            double above = 0.0;
            double right = 0.0;
            for (std::size_t i = 0; i < scores.size(); ++i) {
                if (scores[i] < t) { continue; }
                above += 1.0;
                right += answers[i];
            }
            if (right >= 0.75 * above) {
                expected = t;
                break;
            }
        }
        BOOST_TEST(precise_threshold(scores, answers, 0.75) == expected);
    }
}

BOOST_AUTO_TEST_CASE(a_split_is_an_order_of_all_that_its_seed_decides) {
    const auto one = detail::shuffled(50, 38);
    BOOST_TEST(std::set<std::size_t>(one.begin(), one.end()).size() == 50U);
    BOOST_TEST(one == detail::shuffled(50, 38), boost::test_tools::per_element());
    BOOST_TEST((one != detail::shuffled(50, 39)));
}
