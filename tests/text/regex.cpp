// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE regex
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>

#include <xlens/text/regex.hpp>

#include "support/patience.hpp"

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

using xlens::regex;
using xlens::test::error_message;

namespace {

using matches = std::vector<std::pair<std::size_t, std::size_t>>;

matches find(const std::string& pattern, const std::string& text) {
    matches out;
    regex(pattern, "f").for_each_match(text, [&](auto begin, auto end) {
        out.emplace_back(begin, end);
    });
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(matches_come_left_to_right) {
    BOOST_TEST((find("[ab]+", "xabyb") == matches{{1, 3}, {4, 5}}));
    BOOST_TEST(find("q", "xaby").empty());
    // Empty matches: where nothing longer matches, but not right behind a match.
    BOOST_TEST((find("a*", "baac\xC3\xA9") == matches{{0, 0}, {1, 3}, {4, 4}, {6, 6}}));
    BOOST_TEST((find("a", std::string("\0a", 2)) == matches{{1, 2}}));
    BOOST_TEST((find("^b$", "a\nb\nc") == matches{{2, 3}}));
}

BOOST_AUTO_TEST_CASE(white_space_is_unicode_s) {
    BOOST_TEST(find(R"(\s)", "\xE1\xA0\x8E\xE2\x80\x8B").empty());  // U+180E, U+200B: not spaces
    BOOST_TEST((find(R"(\s+)", "\xC2\x85\xC2\xA0\xE3\x80\x80") == matches{{0, 7}}));
}

BOOST_AUTO_TEST_CASE(patterns_that_do_not_compile) {
    BOOST_TEST(error_message([] { regex("a(b", "t.json: p"); }) ==
               "t.json: p: pattern a(b does not compile: missing closing parenthesis (at byte 3)");
    BOOST_TEST(error_message([] {
                   regex("\xFF", "t.json: p");
               }).starts_with("t.json: p: pattern \\xff does not compile: UTF-8 error"));
    BOOST_TEST(error_message([] { regex(std::string(70000, 'a'), "t.json: p"); }) ==
               "t.json: p: pattern of 70000 bytes, expected at most 65536");
    BOOST_TEST(error_message([] {
                   regex(std::string(1000, '(') + std::string(1000, ')'), "f");
               }).find("parentheses are too deeply nested") != std::string::npos);
    BOOST_TEST(error_message([] { regex(R"(\C)", "f"); }).find("does not compile") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(catastrophic_patterns_end_in_an_error_soon) {
    for (const std::string pattern : {"(a+)+$", "(a|aa)+$", "(?:a|b|aa)*[bd]"}) {
        const auto start = std::chrono::steady_clock::now();
        const std::string message =
            error_message([&] { find(pattern, std::string(5000, 'a') + "c"); });
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        BOOST_TEST(message.starts_with("f: matching gave up at byte 0 of 5001: "), message);
        BOOST_TEST(seconds.count() < 10.0 * xlens::test::patience);
    }
}

// Each search is short, all together are not: nothing matches b, and everything looks for it.
BOOST_AUTO_TEST_CASE(all_searches_of_a_text_have_one_budget) {
    for (const std::string pattern :
         {"(?:.|\\n)*b|a", ".*b|a", "(?>.*)b|a", "a*+b|a", "(?=a*b)|a", "(a+)+b|a"}) {
        for (const std::size_t bytes : {std::size_t{30'000}, std::size_t{1'000'000}}) {
            const auto start = std::chrono::steady_clock::now();
            const std::string message =
                error_message([&] { find(pattern, std::string(bytes, 'a')); });
            const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
            BOOST_TEST(message.starts_with("f: matching gave up at byte "), message);
            BOOST_TEST(seconds.count() < (bytes > 30'000 ? 30.0 : 3.0) * xlens::test::patience);
        }
    }
    // Many searches in many pieces share what is left.
    const regex pattern(".*b|a", "f");
    xlens::match_budget budget(0);
    BOOST_TEST(error_message([&] {
                   for (int i = 0; i < 1000; ++i) {
                       pattern.for_each_match(std::string(2000, 'a'), budget,
                                              [](std::size_t, std::size_t) {});
                   }
               }).ends_with("of 2000: more than 10000000 steps for one text"));
}

BOOST_AUTO_TEST_CASE(long_texts_need_no_deep_stack) {
    // Each of the million characters is a step of a group: more than compiled code has stack for.
    const std::string text(1'000'000, 'a');
    BOOST_TEST((find("(?:a|b)+", text) == matches{{0, text.size()}}));
}

BOOST_AUTO_TEST_CASE(a_match_that_runs_backwards_is_refused) {
    // Newer versions of PCRE2 refuse it themselves.
    const std::string message =
        error_message([] { find(R"((?(DEFINE)(?<x>b\K))a(?=(?&x)))", "ab"); });
    BOOST_TEST((message == "f: the pattern reports a match that starts at 2 and ends at 1" ||
                message.starts_with("f: matching gave up at byte 0 of 2: ")),
               message);
}
