// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE unicode
#include <boost/test/unit_test.hpp>

#include <xlens/text/unicode.hpp>

BOOST_AUTO_TEST_CASE(white_space) {
    int count = 0;
    for (char32_t c = 0; c < 0x110000; ++c) { count += xlens::is_white_space(c) ? 1 : 0; }
    BOOST_TEST(count == 25);  // PropList.txt: 25 code points
    BOOST_TEST(!xlens::is_white_space(0x180E));
    BOOST_TEST(!xlens::is_white_space(0x200B));
}

BOOST_AUTO_TEST_CASE(word_characters) {
    for (const char32_t c : {U'a', U'Z', U'0', U'_', U'\u00e9', U'\u0301', U'\u4e2d', U'\u2167',
                             U'\u200d', U'\u203f'}) {
        BOOST_TEST(xlens::is_word(c), "code point " << static_cast<unsigned>(c));
    }
    for (const char32_t c : {U' ', U'-', U'.', U'\u00b2', U'\u20ac', U'\0'}) {
        BOOST_TEST(!xlens::is_word(c), "code point " << static_cast<unsigned>(c));
    }
}

BOOST_AUTO_TEST_CASE(spaces_at_the_ends) {
    BOOST_TEST(xlens::leading_white_space(" \xC2\xA0\ta ") == 4U);
    BOOST_TEST(xlens::trailing_white_space("a \xE3\x80\x80\n") == 5U);
    BOOST_TEST(xlens::leading_white_space("") == 0U);
    BOOST_TEST(xlens::trailing_white_space(" \n") == 2U);
    BOOST_TEST(xlens::trailing_white_space(" \x80") == 0U);
    BOOST_TEST(xlens::leading_white_space("\x80 ") == 0U);
}

BOOST_AUTO_TEST_CASE(the_last_character) {
    BOOST_TEST((xlens::last_utf8("a\xC3\xA9").value == 0xE9));
    BOOST_TEST(xlens::last_utf8("\xF0\x9F\x98\x80").length == 4U);
    BOOST_TEST(!xlens::last_utf8("").valid);
    BOOST_TEST(!xlens::last_utf8("a\x80").valid);
}
