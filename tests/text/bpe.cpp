// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE bpe
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>

#include <xlens/text/bpe.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

using xlens::bpe;
using xlens::bpe_options;
using xlens::token_id;
using xlens::test::error_message;

namespace {

using ids = std::vector<token_id>;

ids encode(const bpe& model, std::string_view word, bool raw = false) {
    ids out;
    model.encode(word, raw, out);
    return out;
}

const xlens::token_map abc{{"a", 0}, {"b", 1}, {"c", 2}, {"ab", 3}, {"bc", 4}, {"abc", 5}};

}  // namespace

BOOST_AUTO_TEST_CASE(lower_rank_first) {
    BOOST_TEST((encode(bpe(abc, {{"a", "b"}, {"b", "c"}}, {}, "f"), "abcbc") == ids{3, 2, 4}));
    BOOST_TEST(
        (encode(bpe(abc, {{"b", "c"}, {"a", "b"}, {"a", "bc"}}, {}, "f"), "abcab") == ids{5, 3}));
    BOOST_TEST(encode(bpe(abc, {}, {}, "f"), "").empty());
}

BOOST_AUTO_TEST_CASE(characters_without_a_token) {
    const std::string text =
        "a\xC3\xA9\xE4\xB8\xAD"
        "b";
    BOOST_TEST((encode(bpe(abc, {}, {}, "f"), text) == ids{0, 1}));  // dropped
    bpe_options options;
    options.unknown = 2;
    BOOST_TEST((encode(bpe(abc, {}, options, "f"), text) == ids{0, 2, 2, 1}));
    options.fuse_unknown = true;
    BOOST_TEST((encode(bpe(abc, {}, options, "f"), text) == ids{0, 2, 1}));
    options.byte_fallback = true;
    auto vocabulary = abc;
    vocabulary.emplace("<0xC3>", 6);
    vocabulary.emplace("<0xA9>", 7);
    BOOST_TEST((encode(bpe(vocabulary, {}, options, "f"), text) == ids{0, 6, 7, 2, 1}));
    BOOST_TEST((encode(bpe(vocabulary, {}, options, "f"), "\xA9\xC3", true) == ids{7, 6}));
}

BOOST_AUTO_TEST_CASE(a_whole_word_with_ignore_merges) {
    bpe_options options;
    BOOST_TEST((encode(bpe(abc, {{"a", "b"}}, options, "f"), "abc") == ids{3, 2}));
    options.ignore_merges = true;
    BOOST_TEST((encode(bpe(abc, {{"a", "b"}}, options, "f"), "abc") == ids{5}));
    BOOST_TEST((encode(bpe(abc, {{"a", "b"}}, options, "f"), "abcab") == ids{3, 2, 3}));
}

BOOST_AUTO_TEST_CASE(merges_outside_the_vocabulary) {
    const std::vector<xlens::merge_parts> no_part{{"a", "b"}, {"a", "x"}};
    const std::vector<xlens::merge_parts> no_result{{"c", "a"}};
    BOOST_TEST(error_message([&] { bpe(abc, no_part, {}, "t.json: model"); }) ==
               "t.json: model: merges[1]: \"x\" is not in the vocabulary");
    BOOST_TEST(error_message([&] { bpe(abc, no_result, {}, "t.json: model"); }) ==
               "t.json: model: merges[0]: \"ca\" is not in the vocabulary");
    bpe_options options;
    options.ignore_merges = true;  // Llama 3.2 ships such merges: skipped, the others count
    BOOST_TEST((encode(bpe(abc, no_part, options, "f"), "cab") == ids{2, 3}));
    BOOST_TEST((encode(bpe(abc, no_result, options, "f"), "cab") == ids{2, 0, 1}));
}

BOOST_AUTO_TEST_CASE(merges_as_strings) {
    BOOST_TEST((xlens::parse_merge("ab c", "f") == xlens::merge_parts{"ab", "c"}));
    for (const std::string bad : {"", "ab", " ", "a ", " b", "a  b", "a b c"}) {
        BOOST_TEST(error_message([&] { xlens::parse_merge(bad, "t.json: model.merges[3]"); }) ==
                   "t.json: model.merges[3] is \"" + bad +
                       "\", expected two tokens with one space between");
    }
}
