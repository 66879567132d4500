// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE space_mark
#include <boost/test/unit_test.hpp>

#include <xlens/text/space_mark.hpp>

BOOST_AUTO_TEST_CASE(marks_become_spaces) {
    BOOST_TEST(xlens::unmark_spaces("\xE2\x96\x81the\xE2\x96\x81\xE2\x96\x81") == " the  ");
    BOOST_TEST(xlens::unmark_spaces("\xE2\x96") == "\xE2\x96");
    BOOST_TEST(xlens::unmark_spaces("a_b", "_") == "a b");
    BOOST_TEST(xlens::unmark_spaces("").empty());
}
