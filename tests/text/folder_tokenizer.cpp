// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE folder_tokenizer
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>
#include <support/golden_bytes.hpp>
#include <support/golden_tokens.hpp>
#include <support/temporary_directory.hpp>

#include <xlens/text/folder_tokenizer.hpp>

#include <nlohmann/json.hpp>

#include "support/json_document.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace {

using xlens::token_id;
using ids = std::vector<token_id>;
using nlohmann::json;
using xlens::test::error_message;
using xlens::test::temporary_directory;

std::string golden(const std::string& name) {
    const auto bytes = xlens::test::golden_bytes(name);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// vocab.json and merges.txt of text/gpt2.json.
std::string gpt2_file(const std::string& which) {
    static const json model = xlens::test::json_document(golden("text/gpt2.json")).at("model");
    if (which == "@vocab") { return model.at("vocab").dump(); }
    std::string out = "#version: 0.2\n";
    for (const auto& merge : model.at("merges")) {
        out += merge[0].get<std::string>() + " " + merge[1].get<std::string>() + "\n";
    }
    return out;
}

std::string content(const json& file) {
    if (!file.is_string()) { return file.dump(); }
    const auto text = file.get<std::string>();
    if (text == "@vocab" || text == "@merges") { return gpt2_file(text); }
    return text.starts_with('@') ? golden(text.substr(1)) : text;
}

xlens::tokenizer load(const temporary_directory& folder) {
    auto out = xlens::load_folder_tokenizer(folder.path());
    BOOST_REQUIRE(out.has_value());
    return *std::move(out);
}

std::string message(const temporary_directory& folder) {
    const std::string said =
        error_message([&] { (void)xlens::load_folder_tokenizer(folder.path()); });
    const std::string root = folder.path().string() + "/";
    return said.starts_with(root) ? said.substr(root.size()) : said;
}

}  // namespace

BOOST_AUTO_TEST_CASE(folders_equal_transformers) {
    const json file = xlens::test::json_document(golden("tokenizers/folders.json"));
    BOOST_TEST(file.at("cases").size() >= 9U);
    for (const auto& [name, one] : file.at("cases").items()) {
        const temporary_directory folder;
        for (const auto& [path, what] : one.at("files").items()) {
            folder.write(path, content(what));
        }
        const xlens::tokenizer tok = load(folder);
        for (std::size_t i = 0; i < file.at("texts").size(); ++i) {
            const auto text = file["texts"][i].get<std::string>();
            BOOST_TEST(tok.encode_prompt(text, {.special = true}) == one.at("ids")[i].get<ids>(),
                       name << ": " << xlens::printable(text));
        }
    }
}

BOOST_AUTO_TEST_CASE(a_folder_without_a_tokenizer) {
    const temporary_directory folder;
    BOOST_TEST(!xlens::load_folder_tokenizer(folder.path()).has_value());
    folder.write("vocab.json", "{}");  // without merges.txt
    BOOST_TEST(!xlens::load_folder_tokenizer(folder.path()).has_value());
}

BOOST_AUTO_TEST_CASE(a_class_whose_pattern_is_not_known_is_refused) {
    const temporary_directory folder;
    folder.write("vocab.json", gpt2_file("@vocab"));
    folder.write("merges.txt", gpt2_file("@merges"));
    BOOST_TEST(message(folder) ==
               "vocab.json: expected a tokenizer.json beside it, for tokenizer_class or model_type "
               "(missing) says not how text is cut");
    folder.write("config.json", R"({"model_type":"deepseek"})");
    BOOST_TEST(message(folder).find("model_type deepseek says not") != std::string::npos);
    folder.write("config.json", R"({"model_type":"gpt2"})");
    folder.write("merges.txt", "#version: 0.2\na b\na b c\n");
    BOOST_TEST(message(folder) ==
               "merges.txt: line 3 is \"a b c\", expected two tokens with one space between");
    folder.write("merges.txt", "");
    folder.write("vocab.json", "[]");
    BOOST_TEST(message(folder).find("model.vocab") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_piece_model_and_the_files_beside_it) {
    const temporary_directory folder;
    folder.write("tokenizer.model", golden("tokenizers/spm_bpe.model"));
    const xlens::tokenizer bare = load(folder);
    const ids plain = bare.encode("a b");
    BOOST_TEST(bare.encode_prompt("a b") == plain);
    BOOST_TEST(bare.bos().value() == 1);
    BOOST_TEST(bare.eos().value() == 2);
    BOOST_TEST(bare.is_special(1));

    ids begun{1};
    begun.insert(begun.end(), plain.begin(), plain.end());
    folder.write("tokenizer_config.json", R"({"tokenizer_class":"LlamaTokenizer"})");
    BOOST_TEST(load(folder).encode_prompt("a b") == begun);
    begun.push_back(2);
    folder.write("tokenizer_config.json",
                 R"({"tokenizer_class":"LlamaTokenizer","add_eos_token":true})");
    BOOST_TEST(load(folder).encode_prompt("a b") == begun);
    folder.write("tokenizer_config.json",
                 R"({"tokenizer_class":"LlamaTokenizer","add_bos_token":false})");
    BOOST_TEST(load(folder).encode_prompt("a b") == plain);

    // A space is put before text behind a special token too, unless the class is not "legacy".
    const auto size = static_cast<token_id>(bare.size());
    folder.write("added_tokens.json", "{\"<sep>\":" + std::to_string(size) + "}");
    const xlens::tokenizer legacy = load(folder);
    BOOST_TEST(legacy.size() == bare.size() + 1);
    ids twice = legacy.encode("a");
    const ids one = twice;
    twice.push_back(size);
    twice.insert(twice.end(), one.begin(), one.end());
    BOOST_TEST(legacy.encode("a<sep>a") == twice);
    folder.write("tokenizer_config.json", R"({"legacy":false})");
    BOOST_TEST(load(folder).encode("a<sep>a") != twice);

    folder.write("added_tokens.json", "{\"<sep>\":" + std::to_string(size + 1) + "}");
    BOOST_TEST(message(folder).find("<sep> has id") != std::string::npos, message(folder));
    folder.write("added_tokens.json", R"({"<s>":7})");
    BOOST_TEST(message(folder) == "added token <s>: expected id 1, that of the vocabulary, got 7");
}
