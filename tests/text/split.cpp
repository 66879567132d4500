// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE split
#include <boost/test/unit_test.hpp>

#include <xlens/text/split.hpp>

#include <string>
#include <vector>

using xlens::split_behavior;

namespace {

using texts = std::vector<std::string>;

texts cut(const std::string& pattern, split_behavior behavior, const std::string& text,
          bool invert = false) {
    texts out;
    xlens::match_budget budget(text.size());
    for (const auto& [begin, end] :
         xlens::split_text(xlens::regex(pattern, "f"), behavior, invert, text, budget)) {
        out.push_back(text.substr(begin, end - begin));
    }
    return out;
}

}  // namespace

// The examples of the documentation of Hugging Face's tokenizers.
BOOST_AUTO_TEST_CASE(the_behaviours) {
    const std::string text = "the-final--countdown";
    BOOST_TEST((cut("-", split_behavior::removed, text) == texts{"the", "final", "countdown"}));
    BOOST_TEST((cut("-", split_behavior::isolated, text) ==
                texts{"the", "-", "final", "-", "-", "countdown"}));
    BOOST_TEST((cut("-", split_behavior::merged_with_previous, text) ==
                texts{"the-", "final-", "-", "countdown"}));
    BOOST_TEST((cut("-", split_behavior::merged_with_next, text) ==
                texts{"the", "-final", "-", "-countdown"}));
    BOOST_TEST((cut("-", split_behavior::contiguous, text) ==
                texts{"the", "-", "final", "--", "countdown"}));
}

BOOST_AUTO_TEST_CASE(inverted) {
    BOOST_TEST((cut("[a-z]+", split_behavior::removed, "ab-c", true) == texts{"ab", "c"}));
    BOOST_TEST(
        (cut("[a-z]+", split_behavior::merged_with_previous, "ab-c", true) == texts{"ab-", "c"}));
}

BOOST_AUTO_TEST_CASE(no_piece_is_empty) {
    BOOST_TEST(cut("-", split_behavior::isolated, "").empty());
    BOOST_TEST(cut("-", split_behavior::removed, "--").empty());
    BOOST_TEST((cut("x*", split_behavior::isolated, "axb") == texts{"a", "x", "b"}));
}
