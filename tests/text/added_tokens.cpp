// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE added_tokens
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>

#include <xlens/text/added_tokens.hpp>

#include "support/patience.hpp"

#include <chrono>
#include <string>
#include <vector>

using xlens::added_token;
using xlens::added_tokens;

namespace {

/// Sections as "text" or "id:text".
std::vector<std::string> cut(const added_tokens& tokens, const std::string& text,
                             bool special = true) {
    std::vector<std::string> out;
    for (const auto& [part, token] : tokens.split(text, special)) {
        out.push_back((token ? std::to_string(*token) + ":" : "") + std::string(part));
    }
    return out;
}

using parts = std::vector<std::string>;

}  // namespace

BOOST_AUTO_TEST_CASE(leftmost_then_longest) {
    const added_tokens tokens({{1, "<a"}, {2, "<ab>"}, {3, "b>x"}});
    BOOST_TEST((cut(tokens, "z<ab>x<a<") == parts{"z", "2:<ab>", "x", "1:<a", "<"}));
    BOOST_TEST((cut(tokens, "<ab<ab>") == parts{"1:<a", "b", "2:<ab>"}));
    BOOST_TEST(cut(tokens, "").empty());
    BOOST_TEST((cut(added_tokens(), "<a") == parts{"<a"}));
}

BOOST_AUTO_TEST_CASE(special_tokens_only_when_asked) {
    const added_tokens tokens({{1, "<s>", true}, {2, "<t>", false}});
    BOOST_TEST((cut(tokens, "<s><t>", true) == parts{"1:<s>", "2:<t>"}));
    BOOST_TEST((cut(tokens, "<s><t>", false) == parts{"<s>", "2:<t>"}));
}

BOOST_AUTO_TEST_CASE(strips_and_words) {
    const added_tokens tokens({{1, "<l>", false, true, false, false},
                               {2, "<r>", false, false, true, false},
                               {3, "dog", false, false, false, true}});
    BOOST_TEST((cut(tokens, "a \t<l> b") == parts{"a", "1: \t<l>", " b"}));
    BOOST_TEST((cut(tokens, "a <r> \n<l>") == parts{"a ", "2:<r> \n", "1:<l>"}));
    BOOST_TEST(
        (cut(tokens, "dog hotdog dogs dog.") == parts{"3:dog", " hotdog dogs ", "3:dog", "."}));
    BOOST_TEST((cut(tokens,
                    "_dog \xC3\xA9"
                    "dog\xFF") == parts{"_dog \xC3\xA9"
                                        "dog\xFF"}));
    BOOST_TEST((cut(tokens,
                    "\xFF"
                    "dog") == parts{"\xFF", "3:dog"}));
}

BOOST_AUTO_TEST_CASE(many_tokens_and_a_hostile_text_take_linear_time) {
    std::vector<added_token> many;
    for (int i = 0; i < 10000; ++i) {
        many.push_back({i, "<|reserved_" + std::to_string(i) + "|>"});
    }
    many.push_back({10000, std::string(255, 'a') + "b"});
    std::string text;
    for (int i = 0; i < 200000; ++i) { text += "<|res"; }
    const auto start = std::chrono::steady_clock::now();
    const added_tokens tokens(std::move(many));
    BOOST_TEST(tokens.split(text + "<|reserved_7|>", true).size() == 2U);
    BOOST_TEST(tokens.split(std::string(1'000'000, 'a'), true).size() == 1U);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    BOOST_TEST(seconds.count() < 20.0 * xlens::test::patience);
    BOOST_TEST_MESSAGE(seconds.count() << " s");
    BOOST_TEST(xlens::test::error_message([] {
                   added_tokens({{1, std::string(257, ' ')}});
               }).ends_with("of 257 bytes, expected at most 256"));
}
