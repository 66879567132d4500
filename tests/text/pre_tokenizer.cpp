// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE pre_tokenizer
#include <boost/test/unit_test.hpp>

#include <support/golden_tokens.hpp>

#include <xlens/json/reader.hpp>
#include <xlens/text/pre_tokenizer.hpp>
#include <xlens/text/tokenizer_json_steps.hpp>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "support/json_document.hpp"

#include <optional>
#include <string>
#include <vector>

using xlens::pre_tokenizer;
using xlens::text_piece;

namespace {

std::vector<std::string> texts(const std::vector<text_piece>& pieces) {
    std::vector<std::string> out;
    for (const text_piece& piece : pieces) { out.push_back(piece.text); }
    return out;
}

pre_tokenizer read(const std::string& config) {
    const auto value = xlens::parse_json("golden", config);
    std::vector<pre_tokenizer::step> steps;
    xlens::detail::read_pre_tokenizer(xlens::json_field(value, "golden"), steps);
    return pre_tokenizer(std::move(steps));
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_step_equals_hugging_face) {
    const auto steps = xlens::test::json_document(xlens::test::golden_text("steps.json"));
    const auto& cases = steps.at("pre_tokenizers");
    BOOST_TEST(cases.size() > 1000U);
    for (const auto& item : cases) {
        const auto text = item[1].get<std::string>();
        const auto got = texts(read(item[0].dump())({text, false, true}));
        const auto expected = item[2].get<std::vector<std::string>>();
        BOOST_TEST((got == expected), item[0].dump() << " of " << xlens::printable(text) << ": "
                                                     << fmt::format("{}", got));
    }
}

BOOST_AUTO_TEST_CASE(bytes_that_are_no_text_pass_through) {
    const text_piece raw{"\xFF -\x80", true, true};
    for (const char* config : {R"({"type":"Digits","individual_digits":true})",
                               R"({"type":"Split","pattern":{"String":"-"},"behavior":"Removed"})",
                               R"({"type":"Metaspace"})", R"({"type":"Whitespace"})"}) {
        const auto pieces = read(config)(raw);
        BOOST_REQUIRE_EQUAL(pieces.size(), 1U);
        BOOST_TEST(pieces[0].text == raw.text);
        BOOST_TEST(pieces[0].raw);
    }
    // Spelt in the byte alphabet they are text, in one piece, without a space before.
    const auto spelt = read(R"({"type":"ByteLevel"})")(raw);
    BOOST_REQUIRE_EQUAL(spelt.size(), 1U);
    BOOST_TEST(spelt[0].text == xlens::to_byte_alphabet(raw.text));
    BOOST_TEST(!spelt[0].raw);
}

BOOST_AUTO_TEST_CASE(only_the_first_piece_is_at_the_start) {
    const pre_tokenizer cut = read(R"({"type":"Digits","individual_digits":true})");
    const auto pieces = cut({"a1", false, true});
    BOOST_REQUIRE_EQUAL(pieces.size(), 2U);
    BOOST_TEST(pieces[0].at_start);
    BOOST_TEST(!pieces[1].at_start);
    BOOST_TEST(!cut({"a1", false, false})[0].at_start);
    BOOST_TEST(texts(pre_tokenizer()({"a 1", false, true})).size() == 1U);
}
