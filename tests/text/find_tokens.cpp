// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE find_tokens
#include <boost/test/unit_test.hpp>

#include <xlens/io/gguf.hpp>
#include <xlens/io/gguf_tokenizer.hpp>
#include <xlens/text/find_tokens.hpp>
#include <xlens/text/make_tokenizer.hpp>

#include "support/error_message.hpp"
#include "support/golden.hpp"

#include <string>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

const tokenizer& smollm2() {
    static const tokenizer text = make_tokenizer(read_tokenizer(gguf_file(default_model())));
    return text;
}

std::vector<std::string> texts_of(const std::vector<token_id>& tokens) {
    std::vector<std::string> out;
    for (const token_id id : tokens) { out.push_back(smollm2().bytes(id)); }
    std::sort(out.begin(), out.end());
    return out;
}
std::vector<std::string> texts_of_word(const std::string& word) {
    return texts_of(find_words(smollm2(), {word}).front().tokens);
}
using strings = std::vector<std::string>;

}  // namespace

BOOST_AUTO_TEST_CASE(a_word_is_all_tokens_that_are_it) {
    // What a loop over the vocabulary finds by hand, ASCII case alone.
    const auto by_loop = [](std::string word) {
        strings out;
        for (std::size_t i = 0; i < smollm2().size(); ++i) {
            std::string bytes = smollm2().bytes(static_cast<token_id>(i));
            std::string plain =
                bytes.starts_with(' ') && bytes.size() > 1 ? bytes.substr(1) : bytes;
            for (char& c : plain) { c = static_cast<char>(std::tolower(c)); }
            if (plain == word) { out.push_back(bytes); }
        }
        std::sort(out.begin(), out.end());
        return out;
    };
    BOOST_TEST(texts_of_word("red") == by_loop("red"));
    BOOST_TEST(texts_of_word("RED") == by_loop("red"));
    BOOST_TEST(texts_of_word("\t Red ") == by_loop("red"));
    BOOST_TEST(by_loop("red").size() >= 4U);
    BOOST_TEST(by_loop("red").front() == " RED");
}

BOOST_AUTO_TEST_CASE(words_come_back_in_their_order) {
    const auto found = find_words(smollm2(), {"green", "xylophone", "Green"});
    BOOST_TEST_REQUIRE(found.size() == 3U);
    BOOST_TEST(found[0].word == "green");
    BOOST_TEST(found[2].word == "Green");
    BOOST_TEST(found[0].tokens == found[2].tokens);
    BOOST_TEST(!found[0].pieces);
    // No token is "xylophone": its pieces, after a space and without.
    BOOST_TEST(found[1].pieces);
    std::vector<token_id> expected = smollm2().encode("xylophone");
    for (const token_id id : smollm2().encode(" xylophone")) { expected.push_back(id); }
    std::sort(expected.begin(), expected.end());
    expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
    BOOST_TEST(found[1].tokens == expected);
    BOOST_TEST(expected.size() >= 3U);
}

BOOST_AUTO_TEST_CASE(a_word_of_no_letters_is_none) {
    BOOST_TEST(error_message([] {
                   find_words(smollm2(), {"red", ""});
               }) == "words: expected words, got an empty one");
    BOOST_TEST(error_message([] { find_words(smollm2(), {" \t"}); }) ==
               "words: expected words, got an empty one");
    BOOST_TEST(error_message([] { find_words(smollm2(), {"a\xff"}); }) ==
               "words: 'a\\xff' is not valid UTF-8");
}

BOOST_AUTO_TEST_CASE(a_pattern_sees_the_whole_token) {
    const auto find = [](const char* pattern) {
        return texts_of(find_pattern(smollm2(), regex(pattern, "pattern")));
    };
    BOOST_TEST(find("^ ?(?i:red)$") == texts_of_word("red"));
    BOOST_TEST(find("^Wednesday$") == strings{"Wednesday"});
    BOOST_TEST(find("^ Wednesday$") == strings{" Wednesday"});
    BOOST_TEST(find("endoftext").empty());  // a special token is no text
    BOOST_TEST(find("").size() > 48'000U);
    for (const std::string& text : find("\\p{Han}")) { BOOST_TEST(text.size() >= 3U); }
    BOOST_TEST(!find("\\p{Han}").empty());
}

BOOST_AUTO_TEST_CASE(folding) {
    BOOST_TEST(case_fold("Red RED") == "red red");
    BOOST_TEST(case_fold("STRASSE") == case_fold("stra\u00dfe"));
    BOOST_TEST(case_fold("\u00c9t\u00e9") == "\u00e9t\u00e9");
    BOOST_TEST(case_fold("E\u0301t\u00e9") == "\u00e9t\u00e9");  // composed
    BOOST_TEST(case_fold("") == "");
}
