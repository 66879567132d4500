// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE choice
#include <boost/test/unit_test.hpp>

#include <xlens/generate/choice.hpp>

#include "support/error_message.hpp"

using namespace xlens;
using xlens::test::error_message;

BOOST_AUTO_TEST_CASE(the_best_tokens_of_a_state) {
    sequence_state state;
    BOOST_TEST(error_message([&] { (void)best_tokens(state, 5); }) ==
               "best_tokens: no row 0 in the logits of 0 positions; see sequence_state::wanted");
    state.logits = {{9.0F, 1.0F, 2.0F}, {0.5F, 3.0F, 3.0F}};
    BOOST_TEST((best_tokens(state, 2) == std::vector<scored>{{1, 3.0F}, {2, 3.0F}}));
    BOOST_TEST((best_tokens(state, 1, 0) == std::vector<scored>{{0, 9.0F}}));
    BOOST_TEST(best_tokens(state, 5).size() == 3U);
    BOOST_TEST(error_message([&] { (void)best_tokens(state, 1, 2); }) ==
               "best_tokens: no row 2 in the logits of 2 positions; see sequence_state::wanted");
}
