// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE tokenizer_json
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>
#include <support/temporary_directory.hpp>

#include <xlens/text/tokenizer_json.hpp>

#include <nlohmann/json.hpp>

#include "support/json_document.hpp"

#include <sys/stat.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

using nlohmann::json;
using xlens::token_id;

namespace {

using ids = std::vector<token_id>;

const std::string sound = R"({
  "added_tokens": [{"id": 4, "content": "<s>", "special": true}],
  "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
  "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "aba": 3},
            "merges": ["a b", ["ab", "a"]]}})";

/// A file that says `text`, with a tokenizer_config.json beside it where one is given.
struct written {
    explicit written(const std::string& text, const std::string& config = "") {
        path = folder.write("tokenizer.json", text);
        if (!config.empty()) { folder.write("tokenizer_config.json", config); }
    }
    [[nodiscard]] xlens::tokenizer load() const { return xlens::load_tokenizer_json(path); }
    xlens::test::temporary_directory folder;
    std::filesystem::path path;
};

/// What loading says, without the folder's name.
std::string message(const std::string& text, const std::string& config = "") {
    const written file(text, config);
    std::string out = xlens::test::error_message([&] { (void)file.load(); });
    const std::string folder = file.folder.path().string() + "/";
    for (auto at = out.find(folder); at != std::string::npos; at = out.find(folder)) {
        out.erase(at, folder.size());
    }
    BOOST_TEST(out.find('\n') == std::string::npos);
    return out;
}

/// The sound file with one value changed.
std::string with(const std::string& place, const std::string& value) {
    json file = xlens::test::json_document(sound);
    file[json::json_pointer(place)] = xlens::test::json_document(value);
    return file.dump();
}

struct bad_file {
    std::string place;
    std::string value;
    std::string expected;
};
std::ostream& operator<<(std::ostream& out, const bad_file& file) {
    return out << file.place << " = " << file.value;
}

const std::string known_cuts =
    "Sequence, Split, ByteLevel, Digits, Metaspace, Whitespace, WhitespaceSplit, Punctuation, "
    "BertPreTokenizer, CharDelimiterSplit";
const std::string byte_fallback = R"({"type":"BPE","byte_fallback":true,"merges":[],"vocab":)";

const std::vector<bad_file> bad_files{
    {"/model", "null", "tokenizer.json: model is missing"},
    {"/model", "[]", "tokenizer.json: model: expected an object, got array"},
    {"/model/type", "\"Unigram\"", "tokenizer.json: model.vocab: expected a list, got object"},
    {"/model/type", "\"WordPiece\"", "tokenizer.json: model.unk_token is missing"},
    {"/model/type", "\"WordLevel\"",
     "tokenizer.json: model.type: expected BPE, Unigram or WordPiece, got \"WordLevel\""},
    {"/model", R"({"type":"Unigram","vocab":[["a",0],["b"]]})",
     "tokenizer.json: model.vocab[1]: expected a token and its score, got array"},
    {"/model", R"({"type":"Unigram","vocab":[["a",0],["a",1]]})",
     "tokenizer.json: model.vocab[1]: a is there already"},
    {"/model", R"({"type":"Unigram","unk_id":4,"vocab":[["a",0],["b",0],["c",0],["d","x"]]})",
     "tokenizer.json: model.vocab[3][1]: expected a number, got \"x\""},
    {"/model", R"({"type":"Unigram","unk_id":4,"vocab":[["a",0],["b",0],["c",0],["d",1]]})",
     "tokenizer.json: model.unk_id: expected an id below 4, got 4"},
    {"/model/vocab", "null", "tokenizer.json: model.vocab is missing"},
    {"/model/vocab", R"([["a",0],["b",0],["ab",0],["c",0]])",
     "tokenizer.json: model.vocab: expected an object, got array"},
    {"/model/vocab", "7", "tokenizer.json: model.vocab: expected an object, got 7"},
    {"/model/merges", "null", "tokenizer.json: model.merges is missing"},
    {"/model/merges", "{}", "tokenizer.json: model.merges: expected a list, got object"},
    {"/model/merges/0", "\"a b c\"",
     "tokenizer.json: model.merges[0] is \"a b c\", expected two tokens with one space between"},
    {"/model/merges/1", "[\"a\"]",
     "tokenizer.json: model.merges[1]: expected two tokens, got array"},
    {"/model/merges/1", "7", "tokenizer.json: model.merges[1]: expected a list, got 7"},
    {"/model/merges/1", "[\"a\",7]",
     "tokenizer.json: model.merges[1][1]: expected a string, got 7"},
    {"/model/merges/1", "[\"a\",\"x\"]",
     "tokenizer.json: model: merges[1]: \"x\" is not in the vocabulary"},
    {"/model/merges/1", "[\"b\",\"a\"]",
     "tokenizer.json: model: merges[1]: \"ba\" is not in the vocabulary"},
    {"/model/vocab/a", "-1",
     "tokenizer.json: model.vocab.\"a\": expected an id from 0 to 2147483647, got -1"},
    {"/model/vocab/a", "2147483648",
     "tokenizer.json: model.vocab.\"a\": expected an id from 0 to 2147483647, got 2147483648"},
    {"/model/vocab/a", "1.5",
     "tokenizer.json: model.vocab.\"a\": expected an id from 0 to 2147483647, got 1.5"},
    {"/model/vocab/a", "2147483647",
     "tokenizer.json: token a has id 2147483647, expected 0 to 4: 5 tokens without gaps"},
    {"/model/vocab/x", "7",
     "tokenizer.json: token x has id 7, expected 0 to 5: 6 tokens without gaps"},
    {"/added_tokens/0/id", "5",
     "tokenizer.json: token <s> has id 5, expected 0 to 4: 5 tokens without gaps"},
    {"/added_tokens/0/id", "1", "tokenizer.json: id 1 belongs to b and to <s>"},
    {"/added_tokens/0/id", "\"1\"",
     "tokenizer.json: added_tokens[0].id: expected an id from 0 to 2147483647, got \"1\""},
    {"/added_tokens/0/content", "\"a\"",
     "tokenizer.json: added_tokens: a has id 4, but 0 in model.vocab"},
    {"/added_tokens/0/special", "1",
     "tokenizer.json: added_tokens[0].special: expected true or false, got 1"},
    {"/model/unk_token", "\"<u>\"",
     "tokenizer.json: model.unk_token: expected a token of model.vocab, got \"<u>\""},
    {"/model/dropout", "0.1",
     "tokenizer.json: model.dropout: expected null: merging at random is not supported, got 0.1"},
    {"/model/end_of_word_suffix", "\"</w>\"",
     "tokenizer.json: model.end_of_word_suffix: expected nothing: it is not supported, got "
     "\"</w>\""},
    {"/model", byte_fallback + R"({"<0x-1>":0,"b":1,"c":2,"d":3}})",
     "tokenizer.json: model.vocab: expected a byte token <0x00> to <0xFF>, got <0x-1>"},
    {"/model", byte_fallback + R"({"<0xZZ>":0,"b":1,"c":2,"d":3}})",
     "tokenizer.json: model.vocab: expected a byte token <0x00> to <0xFF>, got <0xZZ>"},
    {"/pre_tokenizer", R"({"type":"Bert"})",
     "tokenizer.json: pre_tokenizer.type: expected one of " + known_cuts + ", got Bert"},
    {"/pre_tokenizer", R"({"type":"Sequence","pretokenizers":[{"type":"UnicodeScripts"}]})",
     "tokenizer.json: pre_tokenizer.pretokenizers[0].type: expected one of " + known_cuts +
         ", got UnicodeScripts"},
    {"/pre_tokenizer", R"({"type":"Split","pattern":{"Regex":"(a"},"behavior":"Isolated"})",
     "tokenizer.json: pre_tokenizer.pattern.Regex: pattern (a does not compile: missing closing "
     "parenthesis (at byte 2)"},
    {"/pre_tokenizer", R"({"type":"Split","pattern":{"Regex":"a"},"behavior":"Dropped"})",
     "tokenizer.json: pre_tokenizer.behavior: expected Removed, Isolated, MergedWithPrevious, "
     "MergedWithNext or Contiguous, got Dropped"},
    {"/normalizer", R"({"type":"ByteLevel"})",
     "tokenizer.json: normalizer.type: expected one of Sequence, NFC, NFD, NFKC, NFKD, Lowercase, "
     "Prepend, Replace, Strip, StripAccents, Nmt, BertNormalizer, Precompiled, got ByteLevel"},
    {"/normalizer", R"({"type":"Precompiled","precompiled_charsmap":"a*"})",
     "tokenizer.json: normalizer.precompiled_charsmap: expected base64"},
    {"/normalizer", R"({"type":"Precompiled","precompiled_charsmap":"AAQAAA=="})",
     "tokenizer.json: normalizer.precompiled_charsmap: expected a double array and strings that "
     "end in NUL, got 4 bytes, of which the first say 1024"},
    {"/decoder", R"({"type":"CTC"})",
     "tokenizer.json: decoder.type: expected one of Sequence, ByteLevel, Metaspace, WordPiece, "
     "Replace, Strip, ByteFallback, Fuse, got CTC"},
    {"/post_processor", R"({"type":"BertProcessing","cls":["<s>",5],"sep":["<s>",4]})",
     "tokenizer.json: post_processor.cls[1]: expected an id below 5, got 5"},
    {"/post_processor", R"({"type":"Other"})",
     "tokenizer.json: post_processor.type: expected one of Sequence, ByteLevel, "
     "TemplateProcessing, BertProcessing, RobertaProcessing, got Other"},
    {"/post_processor",
     R"({"type":"TemplateProcessing",
         "single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],
         "special_tokens":{"<s>":{"ids":[5]}}})",
     "tokenizer.json: post_processor.special_tokens.<s>.ids[0]: expected an id below 5, got 5"},
    {"/post_processor",
     R"({"type":"TemplateProcessing",
         "single":[{"SpecialToken":{"id":"<x>"}},{"Sequence":{"id":"A"}}],
         "special_tokens":{}})",
     "tokenizer.json: post_processor.special_tokens.<x> is missing"},
    {"/post_processor", R"({"type":"TemplateProcessing","single":[],"special_tokens":{}})",
     "tokenizer.json: post_processor.single: expected the text once, got array"},
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_sound_file) {
    const xlens::tokenizer tok = written(sound).load();
    BOOST_TEST(tok.size() == 5U);
    BOOST_TEST((tok.encode("aba<s>", {.special = true}) == ids{3, 4}));
    BOOST_TEST((tok.encode("x<s>b") == ids{1}));  // <, s and > have no token
    BOOST_TEST((tok.encode_prompt("ab") == ids{2}));
    BOOST_TEST(tok.is_special(4));
    BOOST_TEST(!tok.bos().has_value());
}

BOOST_DATA_TEST_CASE(each_mistake_is_named, boost::unit_test::data::make(bad_files), file) {
    BOOST_TEST(message(with(file.place, file.value)) == file.expected);
}

BOOST_AUTO_TEST_CASE(merges_outside_the_vocabulary_are_fine_where_merges_are_ignored) {
    json file = xlens::test::json_document(with("/model/merges/1", R"(["b","x"])"));
    file["model"]["ignore_merges"] = true;
    BOOST_TEST(message(file.dump()) == "(no error)");
    BOOST_TEST((written(file.dump()).load().encode("bab") == ids{1, 2}));
}

BOOST_AUTO_TEST_CASE(texts_that_are_not_json) {
    for (const std::string text : {"", "{", "[1,", "\"\xFF\"", "{\"a\":1e400}"}) {
        BOOST_TEST(message(text).starts_with("tokenizer.json: "), message(text));
        BOOST_TEST(message(text) != "(no error)");
    }
    BOOST_TEST(message("[]") == "tokenizer.json: expected an object, got array");
    const std::string twice = R"({"model":{"vocab":{"a":0,"a":1}}})";
    BOOST_TEST(message(twice) == "tokenizer.json: key 'a' appears twice in one object");
    const std::string deep = std::string(100000, '[') + std::string(100000, ']');
    BOOST_TEST(message(deep).starts_with("tokenizer.json: expected JSON nested at most"));
}

BOOST_AUTO_TEST_CASE(paths_that_are_no_file) {
    const xlens::test::temporary_directory folder;
    const auto load = [](const std::filesystem::path& path) {
        return xlens::test::error_message([&] { (void)xlens::load_tokenizer_json(path); });
    };
    const std::string absent = (folder.path() / "absent.json").string();
    BOOST_TEST(load(absent).starts_with(absent + ": "));
    BOOST_TEST(load(folder.path()).starts_with(folder.path().string() + ": "));
    const auto pipe = folder.path() / "pipe.json";
    BOOST_REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
    BOOST_TEST(load(pipe).starts_with(pipe.string() + ": "));  // and does not wait for a writer
}

BOOST_AUTO_TEST_CASE(the_config_beside_it) {
    const written file(sound, R"({"bos_token":{"content":"<s>"},"eos_token":"b",
                                  "add_bos_token":true,"tokenizer_class":"LlamaTokenizerFast",
                                  "chat_template":"{{ x }}"})");
    const xlens::tokenizer tok = file.load();
    BOOST_TEST(tok.bos().value() == 4);
    BOOST_TEST(tok.eos().value() == 1);
    BOOST_TEST((tok.encode_prompt("ab") == ids{4, 2}));
    BOOST_TEST(tok.chat_template() == "{{ x }}");
    BOOST_TEST(message(sound, R"({"bos_token":"<x>"})") ==
               "tokenizer_config.json: bos_token: <x> is not a token of the vocabulary");
    BOOST_TEST(message(sound, R"({"add_eos_token":true,"tokenizer_class":"LlamaTokenizer"})") ==
               "tokenizer_config.json: add_eos_token is true, but the token is not named");
    BOOST_TEST(message(sound, R"({"eos_token":7})") ==
               "tokenizer_config.json: eos_token: expected a string, got 7");
    BOOST_TEST(message(sound, "[]") == "tokenizer_config.json: expected an object, got array");
}

BOOST_AUTO_TEST_CASE(chat_templates_of_a_folder) {
    using named = std::map<std::string, std::string, std::less<>>;
    const std::string config = R"({"chat_template":[{"name":"default","template":"a"},
        {"name":"rag","template":"b"}],"pad_token":{"content":"<p>"},"unk_token":"<u>"})";
    const written several(sound, config);
    BOOST_TEST(several.load().chat_template() == "a");
    BOOST_TEST((several.load().chat_templates() == named{{"rag", "b"}}));
    BOOST_TEST(
        (several.load().named_tokens() == named{{"pad_token", "<p>"}, {"unk_token", "<u>"}}));
    // Files of their own go before it.
    several.folder.write("chat_template.jinja", "c\n");
    BOOST_TEST(several.load().chat_template() == "c\n");
    BOOST_TEST(several.load().chat_templates().empty());
    std::filesystem::create_directory(several.folder.path() / "additional_chat_templates");
    several.folder.write("additional_chat_templates/tool_use.jinja", "d");
    BOOST_TEST(several.load().chat_template() == "c\n");
    BOOST_TEST((several.load().chat_templates() == named{{"tool_use", "d"}}));

    BOOST_TEST(message(sound, R"({"chat_template":[{"name":"a"}]})") ==
               "tokenizer_config.json: chat_template[0].template is missing");
    BOOST_TEST(message(sound, R"({"chat_template":7})") ==
               "tokenizer_config.json: chat_template: expected a string, got 7");
}

BOOST_AUTO_TEST_CASE(a_template_decides_over_the_config) {
    const std::string file = with("/post_processor", R"({"type":"TemplateProcessing",
        "single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}},
                  {"SpecialToken":{"id":"<s>"}}],
        "special_tokens":{"<s>":{"ids":[4]}}})");
    BOOST_TEST((written(file).load().encode_prompt("ab") == ids{4, 2, 4}));
    BOOST_TEST(written(file).load().bos().value() == 4);
    const std::string config = R"({"bos_token":"<s>","add_bos_token":true})";
    BOOST_TEST((written(file, config).load().encode_prompt("ab") == ids{4, 2, 4}));
}

BOOST_AUTO_TEST_CASE(a_catastrophic_pattern_of_the_file_ends_in_an_error) {
    const written file(with("/pre_tokenizer", R"({"type":"Split","pattern":{"Regex":"(a+)+$"},
                                                  "behavior":"Isolated"})"));
    const xlens::tokenizer tok = file.load();
    const std::string said =
        xlens::test::error_message([&] { (void)tok.encode(std::string(5000, 'a') + "b"); });
    BOOST_TEST(said.find("tokenizer.json: pre_tokenizer.pattern.Regex: matching gave up at byte 0 "
                         "of 5001: ") != std::string::npos,
               said);
}
