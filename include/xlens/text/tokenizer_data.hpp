// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace xlens {

/// The tokenizer as GGUF metadata holds it (`tokenizer.ggml...`), one member a key.
/// make_tokenizer() checks it and builds the tokenizer.
struct tokenizer_data {
    std::string file;                     // for messages
    std::string model;                    // "gpt2" (byte-level BPE) or "llama" (SentencePiece)
    std::string pre;                      // the pre-tokenizer's name; gpt2 only
    std::vector<std::string> tokens;      // (V)
    std::vector<float> scores;            // (V); llama only
    std::vector<std::int32_t> types;      // (V) token_type values, or empty: all normal
    std::vector<std::string> merges;      // "left right", best first; gpt2 only
    std::optional<std::int64_t> bos;      // bos_token_id
    std::optional<std::int64_t> eos;      // eos_token_id
    std::optional<std::int64_t> eot;      // eot_token_id: ends a turn
    std::optional<std::int64_t> eom;      // eom_token_id: ends a message
    std::optional<std::int64_t> unknown;  // unknown_token_id
    bool add_bos = false;                 // a file without the key means true for llama
    bool add_eos = false;
    bool add_space_prefix = false;  // a file without the key means true for llama
    std::string chat_template;
    std::map<std::string, std::string, std::less<>> chat_templates;  // others, by name
    std::map<std::string, std::int64_t, std::less<>> named_tokens;   // "pad_token", ...
};

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
