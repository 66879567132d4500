// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE sentencepiece
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>

#include <xlens/text/sentencepiece.hpp>

#include <optional>
#include <string_view>
#include <vector>

using xlens::sentencepiece;
using xlens::token_id;

namespace {

using ids = std::vector<token_id>;

const xlens::token_map words{{"a", 0}, {"b", 1}, {"ab", 2}, {"ba", 3}, {"aba", 4}};
const std::vector<float> scores{-9, -9, -2, -1, -3};

ids encode(const sentencepiece& model, std::string_view word, bool raw = false) {
    ids out;
    model.encode(word, raw, out);
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_highest_score_first) {
    const sentencepiece model(words, scores, {}, 5, "f");
    // ba is better than ab; then a + ba is aba.
    BOOST_TEST((encode(model, "abab") == ids{4, 1}));
    BOOST_TEST((encode(model, "bab") == ids{3, 1}));
    BOOST_TEST((encode(model, "abb") == ids{2, 1}));
    BOOST_TEST(encode(model, "").empty());
}

BOOST_AUTO_TEST_CASE(characters_without_a_token) {
    sentencepiece::byte_table bytes;
    bytes[0xC3] = 10;
    bytes[0xA9] = 11;
    const sentencepiece model(words, scores, bytes, 5, "f");
    BOOST_TEST((encode(model, "a\xC3\xA9\xE4\xB8\xAD") == ids{0, 10, 11, 5}));
    BOOST_TEST((encode(model, "\xA9\xC3\xFF", true) == ids{11, 10, 5}));
}

BOOST_AUTO_TEST_CASE(all_bytes_or_an_unknown_token) {
    sentencepiece::byte_table bytes;
    for (token_id b = 0; b < 256; ++b) { bytes[static_cast<std::size_t>(b)] = 100 + b; }
    BOOST_TEST((encode(sentencepiece(words, scores, bytes, std::nullopt, "f"), "\xC3\xA9") ==
                ids{100 + 0xC3, 100 + 0xA9}));
    bytes[0x41] = std::nullopt;
    BOOST_TEST(
        xlens::test::error_message(
            [&] { sentencepiece(words, scores, bytes, std::nullopt, "m.gguf"); }) ==
        "m.gguf: tokenizer.ggml.tokens: expected all byte tokens or an unknown token, but <0x41> "
        "is missing");
}
