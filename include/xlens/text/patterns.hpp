// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/text/normalizer.hpp>
#include <xlens/text/pre_tokenizer.hpp>

#include <string>
#include <string_view>

namespace xlens {

/// The pattern of GPT-2, which tokenizer.json's ByteLevel means by `use_regex`.
inline constexpr std::string_view gpt2_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Llama 3: contractions in either case, numbers in groups of up to three digits.
inline constexpr std::string_view llama3_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// Qwen 2: as Llama 3, with digits one by one.
inline constexpr std::string_view qwen2_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// How a family of byte-level models cuts its text.
struct text_family {
    normalizer normalize;
    pre_tokenizer cut;
    bool ignore_merges = false;
};

/// The family that a GGUF file names in `tokenizer.ggml.pre`. Each is what the family's
/// tokenizer.json does, including Qwen 2's NFC. An empty name means "default", which is GPT-2's.
/// Throws for a name that is not known, with the list of those that are.
inline text_family find_family(std::string_view pre, const std::string& file) {
    const std::string where = file + ": tokenizer.ggml.pre";
    const auto isolate = [&](std::string_view pattern) {
        return split_step{regex(pattern, where), split_behavior::isolated, false};
    };
    const auto split_bytes = [&](std::string_view pattern) {
        return pre_tokenizer({isolate(pattern), byte_level_step{false, std::nullopt}});
    };
    const byte_level_step gpt2{false, regex(gpt2_pattern, where)};
    if (pre.empty() || pre == "default" || pre == "gpt-2") {
        return {{}, pre_tokenizer({gpt2}), false};
    }
    if (pre == "smollm") { return {{}, pre_tokenizer({isolate(R"(\p{N})"), gpt2}), false}; }
    if (pre == "llama-bpe" || pre == "llama3" || pre == "llama-v3") {
        return {{}, split_bytes(llama3_pattern), true};
    }
    if (pre == "qwen2") {
        return {normalizer({normal_form{true, false}}), split_bytes(qwen2_pattern), false};
    }
    fail("{} is {}, expected one of default, gpt-2, smollm, llama-bpe, llama3, llama-v3, qwen2",
         where, printable(pre));
}

}  // namespace xlens
