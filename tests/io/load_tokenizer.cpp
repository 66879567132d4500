// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE load_tokenizer
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>
#include <support/gguf_builder.hpp>
#include <support/golden_bytes.hpp>
#include <support/temporary_directory.hpp>

#include <xlens/io/load.hpp>
#include <xlens/io/load_tokenizer.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace {

using ids = std::vector<xlens::token_id>;
using xlens::test::error_message;
using xlens::test::temporary_directory;

std::filesystem::path golden(const std::string& name) {
    return std::filesystem::path(std::getenv("XLENS_TEST_DATA")) / name;
}

/// A folder with a model of 96 tokens, and no tokenizer so far.
void copy_model(const temporary_directory& folder) {
    for (const auto& file : std::filesystem::directory_iterator(golden("models/llama/hf"))) {
        std::filesystem::copy(file.path(), folder.path() / file.path().filename());
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(files_of_every_kind_without_a_model) {
    const temporary_directory folder;
    std::filesystem::copy(golden("text/gpt2.json"), folder.path() / "tokenizer.json");
    const ids expected = xlens::load_tokenizer(golden("text/gpt2.json")).encode("the words");
    BOOST_TEST(xlens::load_tokenizer(folder.path()).encode("the words") == expected);
    BOOST_TEST(xlens::load_tokenizer(golden("tokenizers/spm_bpe.model")).size() == 1000U);
    BOOST_TEST(xlens::load_tokenizer(golden("io/tokenizer.gguf")).size() == 5U);
    const temporary_directory empty;
    BOOST_TEST(error_message([&] { (void)xlens::load_tokenizer(empty.path()); }) ==
               empty.path().string() + ": no tokenizer in it");
    BOOST_TEST(error_message([] {
                   (void)xlens::load_tokenizer("absent.gguf");
               }).starts_with("absent.gguf: "));
}

// The model is there for `info` and --ids; only text is refused.
BOOST_AUTO_TEST_CASE(a_tokenizer_that_cannot_be_used_is_an_error_when_text_is_asked_for) {
    const temporary_directory folder;
    copy_model(folder);
    BOOST_TEST(!xlens::load(folder.path()).has_tokenizer());
    const auto path = folder.write("tokenizer.json", R"({"model":{"type":"WordLevel"}})");
    const xlens::model broken = xlens::load(folder.path());
    BOOST_TEST(!broken.has_tokenizer());
    BOOST_TEST(broken.blocks.size() > 0U);
    const std::string said = path.string() + ": model.vocab is missing";
    BOOST_TEST(error_message([&] { (void)broken.tokenizer(); }) ==
               said + "; give token ids instead");
    BOOST_TEST(error_message([&] { (void)broken.encode("a"); }).starts_with(said));
    BOOST_TEST(error_message([&] { (void)broken.text(3); }).starts_with(said));

    folder.write("tokenizer.json", "{");
    BOOST_TEST(!xlens::load(folder.path()).has_tokenizer());
    // One of more tokens than the embedding has rows cannot be meant.
    std::filesystem::remove(path);
    std::filesystem::copy(golden("text/gpt2.json"), path);
    BOOST_TEST(error_message([&] {
                   (void)xlens::load(folder.path()).tokenizer();
               }).find("tokens, the embedding has") != std::string::npos);
}
