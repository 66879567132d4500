// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE pre_names
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>
#include <support/golden_code_points.hpp>

#include <xlens/text/byte_alphabet.hpp>
#include <xlens/text/pre_names.hpp>

#include <string>
#include <utility>
#include <vector>

namespace {

/// The ends of the pieces, as four bytes each, low first.
std::string ends(const xlens::pre_tokenizer& cut, const std::string& text) {
    std::string out;
    std::size_t end = 0;
    for (const xlens::text_piece& piece : cut({text, false, true})) {
        end += xlens::from_byte_alphabet(piece.text).value().size();
        for (unsigned shift = 0; shift < 32; shift += 8) {
            out += static_cast<char>(end >> shift & 0xFFU);
        }
    }
    return out;
}

const std::vector<std::pair<std::string, std::string>> families{
    {"gpt-2", "gpt2"}, {"smollm", "smollm"}, {"llama-bpe", "llama3"}, {"qwen2", "qwen2"}};

}  // namespace

BOOST_AUTO_TEST_CASE(every_assigned_character_is_cut_as_by_hugging_face) {
    for (const auto& [pre, golden] : families) {
        const xlens::text_family family = xlens::find_family(pre, "f");
        xlens::test::check_code_points(golden, [&](const std::vector<std::string>& characters) {
            std::string text;
            for (const std::string& c : characters) {
                text += 'a' + c + ' ' + c + '1' + c + c + '\n';
            }
            return ends(family.cut, text);
        });
    }
}

BOOST_AUTO_TEST_CASE(names_that_mean_the_same) {
    // An empty name is "default": llama.cpp's four patterns, and then the bytes.
    for (const char* name : {"", "default"}) {
        const auto family = xlens::find_family(name, "f");
        BOOST_TEST(family.cut.steps().size() == 5U);
        BOOST_TEST(family.normalize.empty());
        BOOST_TEST(!family.ignore_merges);
    }
    for (const char* name : {"llama-bpe", "llama3", "llama-v3"}) {
        BOOST_TEST(xlens::find_family(name, "f").ignore_merges);
    }
    BOOST_TEST(xlens::find_family("qwen2", "f").normalize("e\xCC\x81") == "\xC3\xA9");
}

BOOST_AUTO_TEST_CASE(an_unknown_name_is_an_error) {
    BOOST_TEST(xlens::test::error_message([] { xlens::find_family("boom\n", "m.gguf"); }) ==
               "m.gguf: tokenizer.ggml.pre: expected one of the 90 names that are known, such as "
               "gpt-2, llama-bpe, qwen2, got boom\\x0a");
}
