// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE fill
#include <boost/test/unit_test.hpp>

#include <xlens/report/fill.hpp>

#include "support/error_message.hpp"

#include <array>
#include <span>

using namespace xlens;

BOOST_AUTO_TEST_CASE(values_stand_where_their_names_were) {
    const std::array values{placeholder{"a", "1"}, placeholder{"b_c", ""}};
    BOOST_TEST(fill("{{a}}, {{b_c}}{{a}}", values) == "1, 1");
    BOOST_TEST(fill("{a} }}", std::span<const placeholder>()) == "{a} }}");
}

BOOST_AUTO_TEST_CASE(values_are_not_looked_into) {
    const std::array values{placeholder{"a", "{{b}} {{"}, placeholder{"b", "{{a}}"}};
    BOOST_TEST(fill("<{{a}}|{{b}}>", values) == "<{{b}} {{|{{a}}>");
}

BOOST_AUTO_TEST_CASE(nothing_is_lost) {
    const std::array values{placeholder{"a", "1"}, placeholder{"b", "2"}};
    using test::error_message;
    BOOST_TEST(error_message([&] { fill("{{a}} {{c}} {{b}}", values); }) ==
               "page: {{c}}: expected a value, got none");
    BOOST_TEST(error_message([&] { fill("{{a}}", values); }) ==
               "page: expected {{b}} for its value, got none");
    BOOST_TEST(error_message([&] { fill("{{a}} {{b", values); }) ==
               "page: expected }} after {{, got none");
}
