// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE token
#include <boost/test/unit_test.hpp>

#include "support/error_message.hpp"

#include <xlens/core/token.hpp>

#include <cstdint>

using namespace xlens;
using xlens::test::error_message;

BOOST_AUTO_TEST_CASE(a_token_of_the_vocabulary_passes_and_no_other) {
    for (const token_id id : {0, 1, 9}) {
        BOOST_TEST(error_message([&] { check_token(id, 10, "--ids"); }) == "(no error)");
    }
    BOOST_TEST(error_message([] { check_token(10, 10, "--ids"); }) ==
               "--ids: token 10: expected 0 to 9");
    BOOST_TEST(error_message([] { check_token(-1, 10, "ban"); }) ==
               "ban: token -1: expected 0 to 9");
}

BOOST_AUTO_TEST_CASE(numbers_that_no_token_holds_do_not_wrap) {
    BOOST_TEST(error_message([] { check_token(std::uint64_t{1} << 32U, 10, "--token"); }) ==
               "--token: token 4294967296: expected 0 to 9");
    BOOST_TEST(error_message([] { check_token(INT64_MIN, 10, "--token"); }) ==
               "--token: token -9223372036854775808: expected 0 to 9");
}
