// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE make_tokenizer
#include <boost/test/unit_test.hpp>

#include <support/error_message.hpp>

#include <xlens/text/make_tokenizer.hpp>

#include <functional>
#include <limits>
#include <string>
#include <vector>

using xlens::token_id;
using xlens::tokenizer_data;

namespace {

using ids = std::vector<token_id>;

/// A byte-level vocabulary of six tokens.
tokenizer_data gpt2() {
    tokenizer_data data;
    data.file = "m.gguf";
    data.model = "gpt2";
    data.pre = "gpt-2";
    data.tokens = {"<s>",
                   "a",
                   "b",
                   "\xC4\xA0",
                   "ab",
                   "\xC4\xA0"
                   "ab"};
    data.types = {3, 1, 1, 1, 1, 1};
    data.merges = {"a b", "\xC4\xA0 ab"};
    data.bos = 0;
    return data;
}

/// A SentencePiece vocabulary of six tokens.
tokenizer_data llama() {
    tokenizer_data data;
    data.file = "m.gguf";
    data.model = "llama";
    data.tokens = {"<unk>",
                   "<s>",
                   "<0x61>",
                   "\xE2\x96\x81",
                   "b",
                   "\xE2\x96\x81"
                   "b"};
    data.types = {2, 3, 6, 1, 1, 1};
    data.scores = {0, 0, 0, -3, -2, -1};
    data.unknown = 0;
    data.bos = 1;
    data.add_bos = true;
    data.add_space_prefix = true;
    return data;
}

std::string message(tokenizer_data data, const std::function<void(tokenizer_data&)>& spoil) {
    spoil(data);
    return xlens::test::error_message([&] { xlens::make_tokenizer(data); });
}

}  // namespace

BOOST_AUTO_TEST_CASE(byte_level) {
    tokenizer_data data = gpt2();
    data.add_bos = true;
    data.add_eos = true;
    data.eos = 1;
    data.chat_template = "{{ x }}";
    const xlens::tokenizer tok = xlens::make_tokenizer(data);
    BOOST_TEST((tok.encode("ab ab<s>", {.special = true}) == ids{4, 5, 0}));
    BOOST_TEST((tok.encode_prompt("b") == ids{0, 2, 1}));
    BOOST_TEST(tok.bytes(5) == " ab");
    BOOST_TEST(tok.bytes(0) == "<s>");
    BOOST_TEST(tok.is_special(0));
    BOOST_TEST(tok.eos().value() == 1);
    BOOST_TEST(tok.chat_template() == "{{ x }}");
    data.types.clear();  // all normal
    BOOST_TEST(!xlens::make_tokenizer(data).is_special(0));
}

BOOST_AUTO_TEST_CASE(pieces) {
    const xlens::tokenizer tok = xlens::make_tokenizer(llama());
    BOOST_TEST((tok.encode_prompt("b a") == ids{1, 5, 3, 2}));
    BOOST_TEST((tok.encode("<s>b", {.special = true}) == ids{1, 5}));
    BOOST_TEST(tok.decode(ids{5, 3, 2}) == "b a");
    BOOST_TEST(tok.bytes(2) == "a");
    tokenizer_data bare = llama();
    bare.add_space_prefix = false;
    BOOST_TEST((xlens::make_tokenizer(bare).encode("b a") == ids{4, 3, 2}));
    BOOST_TEST(xlens::make_tokenizer(bare).decode(ids{5}) == " b");
}

BOOST_AUTO_TEST_CASE(user_defined_tokens_are_always_found) {
    tokenizer_data data = gpt2();
    data.types[5] = 4;
    data.tokens[5] = "b a";
    data.merges.pop_back();
    const xlens::tokenizer tok = xlens::make_tokenizer(data);
    BOOST_TEST((tok.encode("ab ab") == ids{1, 5, 2}));
    BOOST_TEST(!tok.is_special(5));
}

BOOST_AUTO_TEST_CASE(a_file_that_does_not_say_how_text_is_cut_warns) {
    BOOST_TEST(xlens::make_tokenizer(gpt2()).warnings().empty());
    BOOST_TEST(xlens::make_tokenizer(llama()).warnings().empty());
    for (const std::string pre : {"", "default"}) {
        tokenizer_data data = gpt2();
        data.pre = pre;
        const xlens::tokenizer tok = xlens::make_tokenizer(data);
        BOOST_REQUIRE(tok.warnings().size() == 1U);
        BOOST_TEST(tok.warnings().front() ==
                   "m.gguf: tokenizer.ggml.pre is " + std::string(pre.empty() ? "missing" : pre) +
                       ": text is cut by llama.cpp's default patterns, which are probably not the "
                       "model's; convert the model again");
    }
}

BOOST_AUTO_TEST_CASE(names_of_control_tokens_count_whatever_their_type) {
    tokenizer_data data = gpt2();
    data.tokens.push_back("<|im_end|>");
    data.types.push_back(1);
    data.tokens.push_back("<|channel|>");
    data.types.push_back(3);
    const xlens::tokenizer tok = xlens::make_tokenizer(data);
    BOOST_TEST((tok.encode("a<|im_end|>", {.special = true}) == ids{1, 6}));
    BOOST_TEST(tok.is_special(6));
    BOOST_TEST((tok.encode("a<|channel|>") == ids{1, 7}));
    BOOST_TEST(!tok.is_special(7));
}

BOOST_AUTO_TEST_CASE(special_tokens_of_phi_3_take_white_space_along) {
    tokenizer_data data = llama();
    data.add_space_prefix = false;
    data.tokens.push_back("<|user|>");
    data.types.push_back(3);
    data.scores.push_back(0);
    BOOST_TEST((xlens::make_tokenizer(data).encode("<|user|> b", {.special = true}) == ids{6, 5}));
    data.strips_behind = true;
    BOOST_TEST((xlens::make_tokenizer(data).encode("<|user|> b<s> b", {.special = true}) ==
                ids{6, 4, 1, 5}));
}

BOOST_AUTO_TEST_CASE(what_the_model_may_be) {
    for (const std::string model : {"rwkv", "plamo2", "hybriddna", "whitespace", ""}) {
        BOOST_TEST(message(gpt2(), [&](auto& d) { d.model = model; }) ==
                   "m.gguf: tokenizer.ggml.model: expected one of gpt2, llama, t5, bert, gemma4, "
                   "got " +
                       model);
    }
    BOOST_TEST(message(gpt2(), [](auto& d) {
                   d.pre = "whitespace";
               }).starts_with("m.gguf: tokenizer.ggml.pre: expected one of the"));
}

BOOST_AUTO_TEST_CASE(arrays_of_different_lengths) {
    BOOST_TEST(message(gpt2(), [](auto& d) { d.tokens.clear(); }) ==
               "m.gguf: tokenizer.ggml.tokens: expected 1 to 2147483647 tokens, got 0");
    BOOST_TEST(message(gpt2(), [](auto& d) { d.types.pop_back(); }) ==
               "m.gguf: tokenizer.ggml.token_type: expected 6 entries, as many as tokens, got 5");
    BOOST_TEST(message(llama(), [](auto& d) { d.scores.clear(); }) ==
               "m.gguf: tokenizer.ggml.scores: expected 6 entries, as many as tokens, got 0");
    BOOST_TEST(message(gpt2(), [](auto& d) { d.scores = {1}; }) ==
               "m.gguf: tokenizer.ggml.scores: expected 6 entries, as many as tokens, got 1");
}

BOOST_AUTO_TEST_CASE(ids_out_of_range) {
    BOOST_TEST(message(gpt2(), [](auto& d) { d.bos = 6; }) ==
               "m.gguf: tokenizer.ggml.bos_token_id: expected 0 to 5, got 6");
    BOOST_TEST(message(gpt2(), [](auto& d) { d.eos = -1; }) ==
               "m.gguf: tokenizer.ggml.eos_token_id: expected 0 to 5, got -1");
    BOOST_TEST(message(llama(), [](auto& d) { d.unknown = std::int64_t{1} << 40U; }) ==
               "m.gguf: tokenizer.ggml.unknown_token_id: expected 0 to 5, got 1099511627776");
    BOOST_TEST(message(llama(), [](auto& d) { d.bos.reset(); }) ==
               "m.gguf: tokenizer.ggml.add_bos_token is true, but bos_token_id is missing");
    BOOST_TEST(message(llama(), [](auto& d) { d.add_eos = true; }) ==
               "m.gguf: tokenizer.ggml.add_eos_token is true, but eos_token_id is missing");
}

BOOST_AUTO_TEST_CASE(entries_that_make_no_sense) {
    BOOST_TEST(message(gpt2(), [](auto& d) { d.types[2] = 7; }) ==
               "m.gguf: tokenizer.ggml.token_type[2]: expected 1 to 6, got 7");
    BOOST_TEST(message(llama(), [](auto& d) {
                   d.scores[4] = std::numeric_limits<float>::quiet_NaN();
               }) == "m.gguf: tokenizer.ggml.scores[4]: expected a finite number, got nan");
    BOOST_TEST(message(gpt2(), [](auto& d) { d.tokens[5] = "a"; }) ==
               "m.gguf: tokenizer.ggml.tokens[5]: a is already token 1");
    for (const std::string bad : {"<0x-1>", "<0xZZ>", "<0x1>", "a"}) {
        BOOST_TEST(
            message(llama(), [&](auto& d) { d.tokens[2] = bad; }) ==
            "m.gguf: tokenizer.ggml.tokens[2]: expected a byte token <0x00> to <0xFF>, got " + bad);
    }
    BOOST_TEST(message(llama(), [](auto& d) {
                   d.tokens[4] = "<0x4a>";
                   d.tokens[3] = "<0x4A>";
                   d.types[3] = d.types[4] = 6;
               }) == "m.gguf: tokenizer.ggml.tokens[4]: <0x4a> is the same byte as token 3");
    BOOST_TEST(message(llama(), [](auto& d) { d.unknown.reset(); }) ==
               "m.gguf: tokenizer.ggml.tokens: expected all byte tokens or an unknown token, but "
               "<0x00> is missing");
}

BOOST_AUTO_TEST_CASE(merges) {
    BOOST_TEST(message(gpt2(), [](auto& d) { d.merges[1] = "a  b"; }) ==
               "m.gguf: tokenizer.ggml.merges[1] is \"a  b\", expected two tokens with one space "
               "between");
    BOOST_TEST(message(gpt2(), [](auto& d) { d.merges[1] = "b b"; }) ==
               "m.gguf: tokenizer.ggml: merges[1]: \"bb\" is not in the vocabulary");
    BOOST_TEST(message(gpt2(), [](auto& d) {
                   d.pre = "llama-bpe";  // ignores merges
                   d.merges[1] = "b b";
               }) == "(no error)");
}
