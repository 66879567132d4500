// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE end_tokens
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>
#include <support/temporary_directory.hpp>

#include <xlens/text/end_tokens.hpp>

#include <string>
#include <vector>

using ids = std::vector<xlens::token_id>;

namespace {

ids by_spelling(const std::vector<std::string>& tokens, ids named = {}, bool control = true) {
    return xlens::end_tokens_by_spelling(tokens, std::move(named),
                                         [&](xlens::token_id) { return control; });
}

}  // namespace

// What llama.cpp's llama_vocab_is_eog says of vocabularies with these tokens (llama-vocab.cpp).
BOOST_AUTO_TEST_CASE(those_of_a_file_and_those_that_are_spelt_so) {
    BOOST_TEST(by_spelling({"a", "b"}).empty());
    BOOST_TEST((by_spelling({"a", "b"}, {1}) == ids{1}));
    BOOST_TEST((by_spelling({"<|endoftext|>", "<|im_start|>", "<|im_end|>"}, {2}) == ids{0, 2}));
    BOOST_TEST((by_spelling({"<bos>", "<eos>", "<end_of_turn>", "</s> "}, {1, 1}) == ids{1, 2}));
}

BOOST_AUTO_TEST_CASE(an_end_between_messages_is_none) {
    BOOST_TEST((by_spelling({"<|end|>", "<|return|>", "<|call|>"}) == ids{1, 2}));
    BOOST_TEST((by_spelling({"<|end|>", "<|flush|>", "<|calls|>"}) == ids{1, 2}));
    BOOST_TEST((by_spelling({"<|end|>", "<|return|>"}) == ids{0, 1}));
    BOOST_TEST((by_spelling({"</s>", "<|tool_response>"}) == ids{1}));
    BOOST_TEST((by_spelling({"</s>", "<|plamo:eos|>"}, {1}) == ids{1}));
}

BOOST_AUTO_TEST_CASE(a_piece_of_html_is_none) {
    BOOST_TEST((by_spelling({"<eos>", "</s>"}, {0}, false) == ids{0}));
    BOOST_TEST((by_spelling({"<eos>", "</s>"}, {0, 1}, false) == ids{0, 1}));
}

BOOST_AUTO_TEST_CASE(a_folder_names_one_or_several) {
    const xlens::test::temporary_directory folder;
    BOOST_TEST(xlens::end_tokens_of_folder(folder.path()).empty());
    folder.write("config.json", R"({"eos_token_id": 7})");
    BOOST_TEST((xlens::end_tokens_of_folder(folder.path()) == ids{7}));
    folder.write("generation_config.json", R"({"do_sample": true})");
    BOOST_TEST((xlens::end_tokens_of_folder(folder.path()) == ids{7}));
    const auto path =
        folder.write("generation_config.json", R"({"eos_token_id": [128001, 128008, 128009]})");
    BOOST_TEST((xlens::end_tokens_of_folder(folder.path()) == ids{128001, 128008, 128009}));
    folder.write("generation_config.json", R"({"eos_token_id": "</s>"})");
    BOOST_TEST(xlens::test::error_message([&] {
                   (void)xlens::end_tokens_of_folder(folder.path());
               }).starts_with(path.string() + ": eos_token_id: "));
}
