// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE regex_syntax
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>

#include <xlens/text/regex_syntax.hpp>

#include <string>

using xlens::to_pcre2;
using xlens::test::error_message;

BOOST_AUTO_TEST_CASE(classes_are_spelt_out) {
    BOOST_TEST(to_pcre2(R"(\s+(?!\S)|\\s)", "f") == R"(\p{White_Space}+(?!\P{White_Space})|\\s)");
    BOOST_TEST(to_pcre2(R"([^\s\p{L}])", "f") == R"([^\p{White_Space}\p{L}])");
    const std::string word = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE})";
    BOOST_TEST(to_pcre2(R"(\w\W)", "f") == "[" + word + "][^" + word + "]");
    BOOST_TEST(to_pcre2(R"([^\w\h])", "f") ==
               "[^" + word.substr(0, word.find(R"(\x)")) + "0-9a-fA-F]");
    BOOST_TEST(to_pcre2(R"([\b])", "f") == R"([\b])");
    BOOST_TEST(to_pcre2(R"(\h)", "f") == "[0-9a-fA-F]");
}

BOOST_AUTO_TEST_CASE(the_rest_is_kept) {
    for (const std::string same : {R"((?i:'s|'t)|\p{N}{1,3}|[\r\n]*)", R"([]a]|[^]a])", R"([\[\]])",
                                   R"([[:alpha:]\d]x)", R"(a\)", "", "[", R"([[:alpha)"}) {
        BOOST_TEST(to_pcre2(same, "f") == same);
    }
}

// Oniguruma repeats a repetition once more; PCRE2 would not give back what it took.
BOOST_AUTO_TEST_CASE(a_plus_behind_counts_repeats) {
    BOOST_TEST(to_pcre2(R"(\p{N}{1,3}+|x)", "f") == R"((?:\p{N}{1,3})+|x)");
    BOOST_TEST(to_pcre2("a(b[c+]{2}){3}+", "f") == "a(?:(b[c+]{2}){3})+");
    BOOST_TEST(to_pcre2("a++b?+{x}+", "f") == "a++b?+{x}+");  // possessive in both; no counts
}

BOOST_AUTO_TEST_CASE(what_pcre2_cannot_say_is_refused) {
    BOOST_TEST(error_message([] { to_pcre2("a{1025}", "f: x"); }) ==
               "f: x: to repeat more than 1024 times is not supported in pattern a{1025}");
    BOOST_TEST(error_message([] { to_pcre2("[a-z&&[^b]]", "f: x"); }) ==
               "f: x: nested or intersected [] is not supported in pattern [a-z&&[^b]]");
    BOOST_TEST(error_message([] { to_pcre2("[a[b]]", "f: x"); }) ==
               "f: x: nested or intersected [] is not supported in pattern [a[b]]");
    BOOST_TEST(error_message([] { to_pcre2(R"([\W])", "f: x"); }) ==
               R"(f: x: \W inside [] is not supported in pattern [\W])");
}

BOOST_AUTO_TEST_CASE(escaping_takes_every_sign_literally) {
    BOOST_TEST(xlens::escape_pattern("a.b*[c]") == R"(a\.b\*\[c\])");
    BOOST_TEST(xlens::escape_pattern("\xE2\x96\x81") == "\xE2\x96\x81");
}
