// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE early_exit_calibrate
#include <boost/test/unit_test.hpp>

#include <xlens/early_exit/calibrate.hpp>
#include <xlens/numerics/bounds.hpp>

#include "support/error_message.hpp"

#include <cmath>
#include <cstddef>
#include <vector>

using namespace xlens;
using namespace xlens::early_exit;

namespace {

/// 1000 positions, surest first; every tenth that is asked is wrong from the 500th on.
std::vector<exit_trial> trials() {
    std::vector<exit_trial> out(1000);
    for (std::size_t n = 0; n < out.size(); ++n) {
        const float score = 1.0F - static_cast<float>(n) / 1000.0F;
        out[n].looks.push_back({3, score, n < 500 || n % 10 != 0});
    }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_first_layer_that_reaches_the_threshold_counts) {
    const exit_trial t{{{2, 0.4F, false}, {5, 0.8F, true}, {9, 0.9F, false}}};
    BOOST_TEST(t.exit(0.8F)->layer == 5U);
    BOOST_TEST(t.exit(0.81F)->layer == 9U);
    BOOST_TEST(t.exit(0.3F)->layer == 2U);
    BOOST_TEST((t.exit(0.95F) == nullptr));
}

BOOST_AUTO_TEST_CASE(the_threshold_is_the_lowest_that_is_safe) {
    const std::vector<exit_trial> all = trials();
    const float found = calibrate(all, 0.97);
    std::size_t wrong = 0;
    for (const exit_trial& t : all) {
        wrong += t.exit(found) != nullptr && !t.exit(found)->agrees ? 1U : 0U;
    }
    BOOST_TEST(clopper_pearson_upper(wrong, all.size(), 0.05) <= 0.03);
    // Two hundred steps of five scores: one step further is not safe.
    std::size_t worse = 0;
    for (const exit_trial& t : all) {
        const auto* out = t.exit(found - 0.010F);
        worse += out != nullptr && !out->agrees ? 1U : 0U;
    }
    BOOST_TEST(clopper_pearson_upper(worse, all.size(), 0.05) > 0.03);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_promised_never_exits) {
    std::vector<exit_trial> wrong(100);
    for (exit_trial& t : wrong) { t.looks.push_back({1, 1.0F, false}); }
    BOOST_TEST(std::isinf(calibrate(wrong, 0.95)));
    BOOST_TEST(std::isinf(calibrate(std::vector<exit_trial>(), 0.95)));
    BOOST_TEST(test::error_message([&] { calibrate(wrong, 1.0); }) ==
               "agreement: expected from 0 up to but not 1, got 1");
}
