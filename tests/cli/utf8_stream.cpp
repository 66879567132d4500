// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE cli_utf8_stream
#include <boost/test/unit_test.hpp>

#include "../../apps/xlens/output/utf8_stream.hpp"

using xlens::program::utf8_stream;

BOOST_AUTO_TEST_CASE(a_character_appears_with_its_last_byte) {
    const std::string text = "a é 日 👍 z";
    utf8_stream stream;
    std::string shown;
    for (const char byte : text) {
        const std::string more = stream.add({&byte, 1});
        BOOST_TEST(more.find("\xEF\xBF\xBD") == std::string::npos);
        shown += more;
    }
    BOOST_TEST(shown == text);
    BOOST_TEST(stream.finish() == "");
}

BOOST_AUTO_TEST_CASE(bytes_that_cannot_become_a_character_are_replaced_at_once) {
    utf8_stream stream;
    BOOST_TEST(stream.add("\xff") == "\uFFFD");
    BOOST_TEST(stream.add("\x80") == "\uFFFD");
    BOOST_TEST(stream.add("\xe6\x97") == "");
    BOOST_TEST(stream.add("a") == "\uFFFDa");
}

BOOST_AUTO_TEST_CASE(what_is_cut_off_at_the_end_is_replaced) {
    utf8_stream stream;
    BOOST_TEST(stream.add("ok \xf0\x9f\x91") == "ok ");
    BOOST_TEST(stream.finish() == "\uFFFD");
    BOOST_TEST(stream.finish() == "");
}
