// SPDX-License-Identifier: BSD-3-Clause
// Tokenizers of every kind on 3,000 strings, against what reference libraries made of them:
// tests/golden/make_tokenizers.py.
#define BOOST_TEST_MODULE tokenizer_kinds
#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include <support/golden_bytes.hpp>
#include <support/golden_tokens.hpp>

#include <xlens/text/base64.hpp>
#include <xlens/text/make_tokenizer.hpp>
#include <xlens/text/piece_tokenizer.hpp>
#include <xlens/text/tokenizer_json.hpp>

#include "support/json_document.hpp"
#include "support/patience.hpp"

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace data = boost::unit_test::data;

namespace {

using xlens::token_id;
using xlens::tokenizer;
using ids = std::vector<token_id>;

std::string golden(const std::string& name) {
    const auto bytes = xlens::test::golden_bytes(std::filesystem::path("tokenizers") / name);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

const std::vector<std::string>& strings() {
    static const std::vector<std::string> all = [] {
        std::vector<std::string> out = xlens::test::golden_strings();
        std::istringstream lines(golden("strings.jsonl"));
        for (std::string line; std::getline(lines, line);) {
            out.push_back(xlens::test::json_document(line).get<std::string>());
        }
        return out;
    }();
    return all;
}

/// FNV-1a of the ids, 32 bits each, low byte first.
std::uint32_t hash(const ids& tokens) {
    std::uint32_t value = 0x811C9DC5U;
    for (const token_id id : tokens) {
        for (unsigned shift = 0; shift < 32; shift += 8) {
            value = (value ^ (static_cast<std::uint32_t>(id) >> shift & 0xFFU)) * 0x01000193U;
        }
    }
    return value;
}

/// Every string, plain and as a prompt with special tokens (or `plain_only`).
void check(const tokenizer& tok, const std::string& name, bool plain_only = false) {
    BOOST_REQUIRE_EQUAL(strings().size(), 3000U);
    const std::string expected = golden(name + ".ids");
    BOOST_REQUIRE_EQUAL(expected.size(), strings().size() * 8);
    std::size_t wrong = 0;
    for (std::size_t line = 0; line < strings().size(); ++line) {
        for (const bool prompt : {false, true}) {
            if (prompt && plain_only) { continue; }
            std::uint32_t want = 0;
            std::memcpy(&want, expected.data() + line * 8 + (prompt ? 4 : 0), sizeof want);
            const std::string& text = strings()[line];
            const ids got = prompt ? tok.encode_prompt(text, {.special = true}) : tok.encode(text);
            if (hash(got) == want || ++wrong > 5) { continue; }
            BOOST_ERROR(fmt::format(
                "{}{}, line {} ({}): got {}; see make_tokenizers.py "
                "--print-ids {} {}",
                name, prompt ? " prompt" : "", line, xlens::printable(text), got, name, line));
        }
    }
    BOOST_TEST(wrong == 0U);
}

tokenizer from_json(const std::string& name) {
    const auto root = std::filesystem::path(std::getenv("XLENS_TEST_DATA"));
    const auto path = root / "tokenizers" / (name + ".json");
    return xlens::load_tokenizer_json(
        std::filesystem::exists(path) ? path : root / "text" / (name + ".json"));
}

tokenizer from_pieces(const std::string& name) {
    return tokenizer(
        xlens::make_piece_parts(xlens::parse_piece_model(golden(name + ".model"), name), name));
}

/// A SentencePiece model as a GGUF file of the kind t5.
xlens::tokenizer_data t5_arrays(const std::string& name) {
    const auto arrays = xlens::test::json_document(golden("models.json")).at(name);
    xlens::tokenizer_data out;
    out.file = "t5.gguf";
    out.model = "t5";
    out.tokens = arrays.at("tokens").get<std::vector<std::string>>();
    out.scores = arrays.at("scores").get<std::vector<float>>();
    out.types = arrays.at("types").get<std::vector<std::int32_t>>();
    out.charsmap = xlens::from_base64(arrays.at("charsmap").get<std::string>()).value();
    out.add_space_prefix = arrays.at("add_space_prefix");
    out.remove_extra_spaces = arrays.at("remove_extra_whitespaces");
    out.unknown = 0;
    out.bos = 1;
    out.eos = 2;
    out.add_eos = true;
    return out;
}

/// A WordPiece tokenizer.json as llama.cpp's converter writes it: words begin with U+2581.
xlens::tokenizer_data bert_arrays(const std::string& name, bool lowercase) {
    const auto vocabulary =
        xlens::test::json_document(golden(name + ".json")).at("model").at("vocab");
    xlens::tokenizer_data out;
    out.file = "bert.gguf";
    out.model = "bert";
    out.tokens.resize(vocabulary.size());
    out.types.assign(vocabulary.size(), xlens::token_type::normal);
    for (const auto& [token, id] : vocabulary.items()) {
        const auto i = id.get<std::size_t>();
        const bool special = token.starts_with("[") && token.size() > 1;
        out.types[i] = special ? xlens::token_type::control : xlens::token_type::normal;
        out.tokens[i] = special                   ? token
                        : token.starts_with("##") ? token.substr(2)
                                                  : "\xE2\x96\x81" + token;
    }
    out.bos = vocabulary.at("[CLS]").get<std::int64_t>();
    out.separator = vocabulary.at("[SEP]").get<std::int64_t>();
    out.unknown = vocabulary.at("[UNK]").get<std::int64_t>();
    out.lowercase = out.strip_accents = lowercase;
    return out;
}

}  // namespace

BOOST_DATA_TEST_CASE(
    tokenizer_json_equals_hugging_face,
    data::make({"gpt2",     "smollm",      "llama3",       "qwen2",          "flags",
                "llama2",   "metaspace",   "deepseek_llm", "deepseek_coder", "deepseek3",
                "gpt4o",    "tekken",      "cl100k",       "bloom",          "tiny_aya",
                "superbpe", "falcon",      "starcoder",    "gpt_neox",       "roberta",
                "t5",       "xlm_roberta", "albert",       "unigram_bytes",  "gemma",
                "bert",     "bert_cased"}),
    name) {
    check(from_json(name), name);
}

BOOST_DATA_TEST_CASE(piece_models_equal_sentencepiece,
                     data::make({"spm_bpe", "spm_bpe_mapped", "spm_unigram", "spm_unigram_bytes",
                                 "spm_suffix", "spm_plain", "spm_unused"}),
                     name) {
    check(from_pieces(name), name, true);
}

BOOST_AUTO_TEST_CASE(gguf_arrays_of_unigram_and_wordpiece) {
    check(xlens::make_tokenizer(t5_arrays("spm_unigram")), "spm_unigram", true);
    check(xlens::make_tokenizer(bert_arrays("bert", true)), "bert");
    check(xlens::make_tokenizer(bert_arrays("bert_cased", false)), "bert_cased");
    const tokenizer t5 = xlens::make_tokenizer(t5_arrays("spm_unigram"));
    const ids prompt = t5.encode_prompt("x");
    BOOST_TEST(prompt.back() == 2);
}

BOOST_DATA_TEST_CASE(a_megabyte_of_one_character_takes_seconds_at_most,
                     data::make({"t5", "albert", "unigram_bytes", "gemma", "bert", "superbpe",
                                 "tiny_aya", "deepseek_llm", "gpt4o", "bloom"}),
                     name) {
    const tokenizer tok = from_json(name);
    for (const std::string letter :
         {"a", " ", "\n", "1", "\xCC\x81", "\xE4\xB8\xAD", "\xFF", "\xF0\x9F\x98\x80"}) {
        std::string text;
        while (text.size() < std::size_t{1} << 20U) { text += letter; }
        const auto start = std::chrono::steady_clock::now();
        const ids tokens = tok.encode(text);
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        BOOST_TEST(seconds.count() < 10.0 * xlens::test::patience,
                   fmt::format("{} s", seconds.count()));
        BOOST_TEST_MESSAGE(
            fmt::format("{} {}: {:.2f} s", name, xlens::printable(letter), seconds.count()));
    }
}
