// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE visible
#include <boost/test/unit_test.hpp>

#include <xlens/text/visible.hpp>

#include <string>
#include <string_view>

using xlens::visible;
using namespace std::string_view_literals;

BOOST_AUTO_TEST_CASE(what_can_be_read_is_left_as_it_is) {
    for (const auto text : {"", "word", "<b>&amp;", "日本", "שלום", "e\u0301", "😀"}) {
        BOOST_TEST(visible(text) == text);
    }
}

BOOST_AUTO_TEST_CASE(spaces_and_controls_get_a_picture) {
    BOOST_TEST(visible(" a b ") == "␣a␣b␣");
    BOOST_TEST(visible("\n\t\r"sv) == "⏎⇥␍");
    BOOST_TEST(visible("a\0b\x1b\x7f"sv) == "a␀b␛␡");
}

BOOST_AUTO_TEST_CASE(characters_without_a_shape_are_named) {
    BOOST_TEST(visible("\u00a0") == "<00A0>");
    BOOST_TEST(visible("\u202eabc") == "<202E>abc");  // would turn the rest of a line around
    BOOST_TEST(visible("\u2066\u200b\ufeff") == "<2066><200B><FEFF>");
    BOOST_TEST(visible("\u2028") == "<2028>");
    BOOST_TEST(visible("\U000E0041") == "<E0041>");
    BOOST_TEST(visible("\u0301") == "◌\u0301");
}

BOOST_AUTO_TEST_CASE(broken_bytes_are_spelt) {
    BOOST_TEST(visible("\xe6\x97"sv) == "\\xe6\\x97");
    BOOST_TEST(visible("a\xff z"sv) == "a\\xff␣z");
}
