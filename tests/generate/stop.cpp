// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE stop
#include <boost/test/unit_test.hpp>

#include <xlens/generate/stop.hpp>

#include "support/error_message.hpp"

#include <string>
#include <vector>

using xlens::stop_sequences;
using xlens::test::error_message;

namespace {

/// What is shown of these tokens, with | where a token ends.
std::string shown(std::vector<std::string> stops, const std::vector<std::string>& tokens) {
    stop_sequences s(std::move(stops));
    std::string out;
    for (const std::string& token : tokens) { out += s.add(token) + "|"; }
    return out + s.finish() + (s.stopped() ? "." : "");
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_stop_text_ends_the_text_before_it_wherever_tokens_end) {
    BOOST_TEST(shown({}, {"a", "b"}) == "a|b|");
    BOOST_TEST(shown({"stop"}, {"a stop b", "c"}) == "a ||.");
    BOOST_TEST(shown({"stop"}, {"a s", "to", "p!"}) == "a |||.");
    BOOST_TEST(shown({"stop"}, {"a s", "tone"}) == "a |stone|");
    BOOST_TEST(shown({"stop"}, {"a sto"}) == "a |sto");
    BOOST_TEST(shown({"aab"}, {"a", "a", "a", "b", "c"}) == "||a|||.");
    BOOST_TEST(shown({"xyz", "y"}, {"wx", "y"}) == "w|x|.");
    BOOST_TEST(shown({"\n\n"}, {"a\n", "\nb"}) == "a||.");
    BOOST_TEST(error_message([] { stop_sequences({"a", ""}); }) == "stop: expected a text, got ''");
}
