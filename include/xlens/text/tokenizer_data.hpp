// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xlens {

/// The tokenizer as GGUF metadata holds it (`tokenizer.ggml...`), one member a key.
/// make_tokenizer() checks it and builds the tokenizer.
struct tokenizer_data {
    std::string file;                       // for messages
    std::string model;                      // its kind: one of tokenizer_kinds
    std::string pre;                        // the pre-tokenizer's name; gpt2 only
    std::vector<std::string> tokens;        // (V)
    std::vector<float> scores;              // (V); llama and t5 only
    std::vector<std::int32_t> types;        // (V) token_type values, or empty: all normal
    std::vector<std::string> merges;        // "left right", best first; gpt2 and gemma4 only
    std::optional<std::int64_t> bos;        // bos_token_id; bert: cls_token_id
    std::optional<std::int64_t> eos;        // eos_token_id
    std::optional<std::int64_t> eot;        // eot_token_id: ends a turn
    std::optional<std::int64_t> eom;        // eom_token_id: ends a message
    std::optional<std::int64_t> unknown;    // unknown_token_id
    std::optional<std::int64_t> separator;  // seperator_token_id (so the key is spelt); bert only
    bool add_bos = false;                   // where the key is missing: as llama.cpp does
    bool add_eos = false;
    bool add_space_prefix = false;     // a file without the key means true for llama
    bool remove_extra_spaces = false;  // remove_extra_whitespaces; t5 only
    std::string charsmap;              // precompiled_charsmap; t5 only
    bool lowercase = true;             // normalizer.lowercase; bert only
    bool strip_accents = true;         // normalizer.strip_accents; bert only
    bool strips_behind = false;        // special tokens take white space behind them along: Phi-3
    std::string chat_template;
    std::map<std::string, std::string, std::less<>> chat_templates;  // others, by name
    std::map<std::string, std::int64_t, std::less<>> named_tokens;   // "pad_token", ...
};

/// The kinds of `tokenizer.ggml.model` that can be used: byte-level BPE, SentencePiece's BPE and
/// its unigram model, WordPiece, and BPE of UTF-8 with marked spaces.
inline constexpr std::array<std::string_view, 5> tokenizer_kinds{"gpt2", "llama", "t5", "bert",
                                                                 "gemma4"};

/// The values of `tokenizer.ggml.token_type`.
namespace token_type {
inline constexpr std::int32_t normal = 1;
inline constexpr std::int32_t unknown = 2;
inline constexpr std::int32_t control = 3;
inline constexpr std::int32_t user_defined = 4;
inline constexpr std::int32_t unused = 5;
inline constexpr std::int32_t byte = 6;
}  // namespace token_type

}  // namespace xlens
