// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "engine/engine.hpp"
#include "output/run_record.hpp"

#include <xlens/text/templates/prompts.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xlens {
class input_text;
}

// From what a user writes to tokens.

namespace xlens::program {

/// The tokens of a prompt: at least one, all in the vocabulary, no more than the context holds, or
/// an xlens::error.
[[nodiscard]] std::vector<token_id> read_prompt(const engine& opened, const prompt_flags& prompt);

/// The same of each prompt that the flags name: the one, or those of a file, in order.
[[nodiscard]] std::vector<file_prompt> read_prompts(const engine& opened,
                                                    const prompt_flags& prompt);

/// The record of a run on the model about one of these prompts.
[[nodiscard]] run_record record_of(const engine& opened, const prompt_flags& flags,
                                   const file_prompt& prompt);
/// Before the answer to one of many prompts is printed for people: which one it is.
void begin_prompt(const prompt_flags& flags, const common_flags& common, const file_prompt& prompt);

/// The prompt that the model's chat template makes of a conversation; `text` is its last message.
[[nodiscard]] std::string read_chat(const engine& opened, const chat_flags& flags,
                                    const std::optional<std::string>& text);
/// Its tokens: special tokens spelt in it are tokens, and nothing is added around them.
[[nodiscard]] std::vector<token_id> chat_tokens(const engine& opened, std::string_view rendered);

/// The token that a flag names by its text or its id ("#7042", or "7042" unless that is a token's
/// text). Throws xlens::error, naming the flag, for anything but one token.
[[nodiscard]] token_id read_token(const engine& opened, std::string_view flag,
                                  std::string_view text);

/// The tokens of a text file ("-": of standard input), nothing added around them. Throws
/// xlens::error for a text that is not UTF-8 and for fewer than 2 tokens.
[[nodiscard]] std::vector<token_id> read_text(const engine& opened, const std::string& path,
                                              const text_flags& how);
/// The same of a file that is open, for two models that read it.
[[nodiscard]] std::vector<token_id> read_text(const engine& opened, const input_text& file,
                                              const text_flags& how);
/// What every window of a text begins with.
[[nodiscard]] std::vector<token_id> window_prefix(const engine& opened, const text_flags& how);

}  // namespace xlens::program
