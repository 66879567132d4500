// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE byte_alphabet
#include <boost/test/unit_test.hpp>

#include <support/golden_tokens.hpp>

#include <xlens/text/byte_alphabet.hpp>

#include <nlohmann/json.hpp>

#include "support/json_document.hpp"

#include <string>

BOOST_AUTO_TEST_CASE(it_is_the_alphabet_of_tokenizers) {
    // make_text.py trains with ByteLevel.alphabet(): all 256 characters are in the vocabulary.
    const auto file = xlens::test::json_document(xlens::test::golden_text("gpt2.json"));
    const auto& vocabulary = file.at("model").at("vocab");
    for (int b = 0; b < 256; ++b) {
        const std::string byte(1, static_cast<char>(b));
        BOOST_TEST(vocabulary.contains(xlens::to_byte_alphabet(byte)), "byte " << b);
    }
    BOOST_TEST(xlens::to_byte_alphabet("a b\n") ==
               "a\xC4\xA0"
               "b\xC4\x8A");
}

BOOST_AUTO_TEST_CASE(all_bytes_come_back) {
    std::string bytes;
    for (int b = 0; b < 256; ++b) { bytes += static_cast<char>(b); }
    BOOST_TEST(xlens::from_byte_alphabet(xlens::to_byte_alphabet(bytes)).value() == bytes);
    BOOST_TEST(xlens::from_byte_alphabet("").value().empty());
}

BOOST_AUTO_TEST_CASE(other_characters_are_not_in_it) {
    for (const char* text :
         {" ", "a b", "\n", "\x7F", "\xC2\xAD", "\xC5\x84", "\xE4\xB8\xAD", "\xFF"}) {
        BOOST_TEST(!xlens::from_byte_alphabet(text).has_value());
    }
}
