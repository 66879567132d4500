// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE gguf_tokenizer
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>
#include <support/gguf_builder.hpp>
#include <support/malformed_file.hpp>
#include <support/temporary_directory.hpp>

#include <xlens/io/gguf_tokenizer.hpp>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace {

using xlens::test::gguf_builder;
using xlens::test::malformed_file;
using b = gguf_builder;

/// A vocabulary of three tokens with every array of the right length.
gguf_builder gpt2() {
    gguf_builder file;
    file.text("tokenizer.ggml.model", "gpt2").texts("tokenizer.ggml.tokens", {"a", "b", "ab"});
    return file.texts("tokenizer.ggml.merges", {"a b"});
}
gguf_builder llama() {
    gguf_builder file;
    file.text("tokenizer.ggml.model", "llama").texts("tokenizer.ggml.tokens", {"a", "b", "ab"});
    return file;
}

xlens::tokenizer_data read(const gguf_builder& file) {
    const xlens::test::temporary_directory folder;
    return xlens::read_tokenizer(xlens::gguf_file(folder.write("m.gguf", file.bytes())));
}

std::vector<malformed_file> cases() {
    const std::vector<float> two = {0, 1};
    const std::vector<float> three = {0, 1, 2};
    const auto id = [](const char* key, std::uint32_t value) {
        return gpt2().key(key, b::u32, value).bytes();
    };
    return {
        {"no model", gguf_builder().bytes(),
         "key 'tokenizer.ggml.model': expected a string, got no such key"},
        {"model rwkv", gguf_builder().text("tokenizer.ggml.model", "rwkv").bytes(),
         "tokenizer.ggml.model: expected one of gpt2, llama, t5, bert, gemma4, got rwkv"},
        {"no tokens", gguf_builder().text("tokenizer.ggml.model", "gpt2").bytes(),
         "key 'tokenizer.ggml.tokens': expected array of string, got no such key"},
        {"no merges",
         gguf_builder()
             .text("tokenizer.ggml.model", "gpt2")
             .texts("tokenizer.ggml.tokens", {"a"})
             .bytes(),
         "key 'tokenizer.ggml.merges': expected array of string, got no such key"},
        {"no scores", llama().bytes(),
         "key 'tokenizer.ggml.scores': expected array of numbers, got no such key"},
        {"two scores", llama().numbers("tokenizer.ggml.scores", b::f32, two).bytes(),
         "tokenizer.ggml.scores: expected 3 entries, as many as tokens, got 2"},
        {"four types",
         gpt2().numbers<std::int32_t>("tokenizer.ggml.token_type", b::i32, {1, 1, 1, 1}).bytes(),
         "tokenizer.ggml.token_type: expected 3 entries, as many as tokens, got 4"},
        {"type 2^40",
         gpt2()
             .numbers<std::int64_t>("tokenizer.ggml.token_type", b::i64, {1LL << 40U, 1, 1})
             .bytes(),
         "tokenizer.ggml.token_type: expected 1 to 6, got 1099511627776"},
        {"bos 3", id("tokenizer.ggml.bos_token_id", 3),
         "tokenizer.ggml.bos_token_id: expected an id below 3, the number of tokens, got 3"},
        {"eos 2^31 - 1", id("tokenizer.ggml.eos_token_id", 2147483647),
         "tokenizer.ggml.eos_token_id: expected an id below 3, the number of tokens, got "
         "2147483647"},
        {"unknown 2^32 - 1", id("tokenizer.ggml.unknown_token_id", 4294967295),
         "tokenizer.ggml.unknown_token_id: expected 0 to 2147483647, got 4294967295"},
        {"bos string", gpt2().text("tokenizer.ggml.bos_token_id", "1").bytes(),
         "key 'tokenizer.ggml.bos_token_id': expected an integer of at least 0, got string"},
        {"add_bos a number", gpt2().key("tokenizer.ggml.add_bos_token", b::u8, '\1').bytes(),
         "key 'tokenizer.ggml.add_bos_token': expected bool, got uint8 1"},
        {"tokens are numbers",
         gguf_builder()
             .text("tokenizer.ggml.model", "llama")
             .numbers("tokenizer.ggml.tokens", b::f32, three)
             .bytes(),
         "key 'tokenizer.ggml.tokens': expected array of string, got array of float32"},
    };
}

}  // namespace

BOOST_DATA_TEST_CASE(malformed, boost::unit_test::data::make(cases()), file) {
    const xlens::test::temporary_directory folder;
    const xlens::gguf_file f(folder.write("bad.gguf", file.bytes));
    BOOST_TEST(xlens::test::error_message([&] { (void)xlens::read_tokenizer(f); }) ==
               f.name() + ": " + file.message);
}

BOOST_AUTO_TEST_CASE(written_by_gguf_py) {
    const char* root = std::getenv("XLENS_TEST_DATA");
    BOOST_REQUIRE_MESSAGE(root != nullptr, "XLENS_TEST_DATA is not set");
    const xlens::gguf_file f(std::filesystem::path(root) / "io" / "tokenizer.gguf");
    const auto data = xlens::read_tokenizer(f);
    BOOST_TEST(data.file == f.name());
    BOOST_TEST(data.model == "gpt2");
    BOOST_TEST(data.pre == "gpt-2");
    BOOST_TEST(data.tokens == (std::vector<std::string>{"<|end|>", "a", "b", "ab", "\xc4\xa0"}),
               boost::test_tools::per_element());
    BOOST_TEST(data.types == (std::vector<std::int32_t>{3, 1, 1, 1, 1}),
               boost::test_tools::per_element());
    BOOST_TEST(data.merges == std::vector<std::string>{"a b"}, boost::test_tools::per_element());
    BOOST_TEST(data.scores.empty());
    BOOST_TEST(data.bos.value() == 0);
    BOOST_TEST(data.eos.value() == 0);
    BOOST_TEST(!data.unknown.has_value());
    BOOST_TEST(data.add_bos);
    BOOST_TEST(!data.add_eos);
    BOOST_TEST(!data.add_space_prefix);
    BOOST_TEST(data.chat_template == "{{ messages }}");
}

BOOST_AUTO_TEST_CASE(several_chat_templates_and_tokens_that_they_name) {
    const auto data = read(gpt2()
                               .text("tokenizer.chat_template", "a")
                               .texts("tokenizer.chat_templates", {"rag", "tool_use"})
                               .text("tokenizer.chat_template.rag", "b")
                               .text("tokenizer.chat_template.tool_use", "c")
                               .key("tokenizer.ggml.padding_token_id", b::u32, 2U)
                               .key("tokenizer.ggml.mask_token_id", b::u32, 4294967295U));
    BOOST_TEST(data.chat_template == "a");
    BOOST_TEST(data.chat_templates.size() == 2U);
    BOOST_TEST(data.chat_templates.at("rag") == "b");
    BOOST_TEST(data.chat_templates.at("tool_use") == "c");
    BOOST_TEST(data.named_tokens.size() == 1U);
    BOOST_TEST(data.named_tokens.at("pad_token") == 2);
    const auto missing = xlens::test::error_message(
        [] { (void)read(gpt2().texts("tokenizer.chat_templates", {"rag"})); });
    BOOST_TEST(missing.find("tokenizer.chat_template.rag") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(defaults_are_those_of_the_model) {
    const auto bytes = read(gpt2().key("tokenizer.ggml.bos_token_id", b::u32, 0U));
    BOOST_TEST(!bytes.add_bos);
    BOOST_TEST(!bytes.add_space_prefix);

    const auto llama3 = read(gpt2()
                                 .text("tokenizer.ggml.pre", "llama-bpe")
                                 .key("tokenizer.ggml.bos_token_id", b::u32, 0U));
    BOOST_TEST(llama3.add_bos);

    const std::vector<float> scores = {0, -1, -2};
    auto file = llama().numbers("tokenizer.ggml.scores", b::f32, scores);
    BOOST_TEST(!read(file).add_bos);  // there is no bos to add
    const auto pieces = read(file.key("tokenizer.ggml.bos_token_id", b::u32, 1U));
    BOOST_TEST(pieces.add_bos);
    BOOST_TEST(!pieces.add_eos);
    BOOST_TEST(pieces.add_space_prefix);
    BOOST_TEST(pieces.scores == scores, boost::test_tools::per_element());
    const auto plain = read(file.key("tokenizer.ggml.add_bos_token", b::boolean, '\0')
                                .key("tokenizer.ggml.add_space_prefix", b::boolean, '\0'));
    BOOST_TEST(!plain.add_bos);
    BOOST_TEST(!plain.add_space_prefix);
}
