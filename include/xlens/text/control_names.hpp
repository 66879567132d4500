// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

// What tokens are by their spelling, whatever type a GGUF file gives them. Source: llama.cpp,
// src/llama-vocab.cpp (llama-cpp-python 0.3.36).

namespace xlens {

/// They end a generated text: a turn, a message, a part to be filled in. "</s>" is one where it is
/// a control token (text/end_tokens.hpp).
inline constexpr std::array<std::string_view, 32> end_names{
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
    "[e~[",
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "[PAD]",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>"};

/// They mark the parts of a text to be filled in. These and end_names are control tokens.
inline constexpr std::array<std::string_view, 24> fill_names{
    "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>",    "<\uFF5Cfim\u2581begin\uFF5C>",
    "<PRE>",          "\u2581<PRE>",  "<|code_prefix|>", "<|prefix|>",
    "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>",    "<\uFF5Cfim\u2581hole\uFF5C>",
    "<SUF>",          "\u2581<SUF>",  "<|code_suffix|>", "<|suffix|>",
    "<|fim_middle|>", "<fim-middle>", "<fim_middle>",    "<\uFF5Cfim\u2581end\uFF5C>",
    "<MID>",          "\u2581<MID>",  "<|code_middle|>", "<|middle|>"};

/// The reverse, of gpt-oss: always found in the text.
inline constexpr std::array<std::string_view, 4> user_names{"<|channel|>", "<|message|>",
                                                            "<|start|>", "<|constrain|>"};

/// Whether a token may be one of the names by its first byte, which few tokens have: vocabularies
/// are long, and so are the lists.
constexpr bool may_be_name(std::string_view token) {
    return !token.empty() && std::string_view("<[_\xE2").find(token.front()) != token.npos;
}
constexpr bool is_end_name(std::string_view token) {
    return may_be_name(token) && std::ranges::find(end_names, token) != end_names.end();
}
constexpr bool is_control_name(std::string_view token) {
    return is_end_name(token) ||
           (may_be_name(token) && std::ranges::find(fill_names, token) != fill_names.end());
}
static_assert(std::ranges::all_of(end_names, [](auto name) { return is_end_name(name); }));
static_assert(std::ranges::all_of(fill_names, [](auto name) { return is_control_name(name); }));

inline bool is_user_name(std::string_view token) {
    return may_be_name(token) && std::ranges::find(user_names, token) != user_names.end();
}

}  // namespace xlens
