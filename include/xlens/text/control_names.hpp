// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace xlens {

/// Tokens that are control tokens whatever type a GGUF file gives them: they end a turn, or mark
/// the parts of a text to be filled in. Source: llama.cpp, src/llama-vocab.cpp (llama-cpp-python
/// 0.3.36), which overrides the type of all of them.
inline constexpr std::array<std::string_view, 56> control_names{
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
    "<end_of_utterance>",
    "<|eom_id|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "[EOS]",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "[e~[",
    "<|fim_prefix|>",
    "<fim-prefix>",
    "<fim_prefix>",
    "<\uFF5Cfim\u2581begin\uFF5C>",
    "<PRE>",
    "\u2581<PRE>",
    "<|code_prefix|>",
    "<|prefix|>",
    "<|fim_suffix|>",
    "<fim-suffix>",
    "<fim_suffix>",
    "<\uFF5Cfim\u2581hole\uFF5C>",
    "<SUF>",
    "\u2581<SUF>",
    "<|code_suffix|>",
    "<|suffix|>",
    "<|fim_middle|>",
    "<fim-middle>",
    "<fim_middle>",
    "<\uFF5Cfim\u2581end\uFF5C>",
    "<MID>",
    "\u2581<MID>",
    "<|code_middle|>",
    "<|middle|>",
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

/// The reverse, of gpt-oss: always found in the text.
inline constexpr std::array<std::string_view, 4> user_names{"<|channel|>", "<|message|>",
                                                            "<|start|>", "<|constrain|>"};

inline bool is_control_name(std::string_view token) {
    return std::ranges::find(control_names, token) != control_names.end();
}
inline bool is_user_name(std::string_view token) {
    return std::ranges::find(user_names, token) != user_names.end();
}

}  // namespace xlens
