// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/text/normalizer.hpp>
#include <xlens/text/patterns.hpp>
#include <xlens/text/pre_tokenizer.hpp>
#include <xlens/text/space_mark.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens {

/// A name of `tokenizer.ggml.pre`, and what it stands for: patterns that cut the text one after the
/// other, each of whose matches is a piece of its own. Then bytes are spelt in gpt2_alphabet.
struct pre_name {
    std::string_view name{};
    std::array<std::string_view, 6> patterns{};  // the empty ones at the end do not count
    std::optional<digit_grouping> digits{};      // before the patterns
    bool ignore_merges = false;                  // a whole piece that is a token is that token
    bool adds_bos = false;                       // where the file does not say
    bool composes = false;                       // NFC first
    bool marks_spaces = false;  // no byte alphabet: spaces are U+2581, other bytes <0xHH>
};

/// What llama.cpp does with a name, and where that differs and is known, what the family's own
/// tokenizer does: NFC (llama.cpp never normalises), and letters by their case. Qwen 3.5 is not
/// composed, for the texts that llama.cpp has of it are not.
/// Source: llama.cpp, src/llama-vocab.cpp (llama-cpp-python 0.3.36).
inline std::vector<pre_name> pre_names() {
    using namespace patterns;
    constexpr std::string_view gpt2 = gpt2_pattern;
    constexpr std::string_view llama3 = llama3_pattern;
    constexpr std::string_view qwen2 = qwen2_pattern;
    std::vector<pre_name> out;
    const auto add = [&](std::initializer_list<std::string_view> names, const pre_name& what) {
        for (const std::string_view name : names) { out.emplace_back(what).name = name; }
    };
    add({"default"}, {"", {default_punctuation, gpt2, numbers, three_digits}});
    add({"gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0",
         "mellum", "jina-v1-en", "jina-v2-code", "roberta-bpe", "exaone4", "jais", "trillion",
         "granite-docling"},
        {"", {gpt2}});
    add({"mpt", "olmo", "modern-bert"}, {.patterns = {gpt2}, .composes = true});
    add({"starcoder", "refact", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"},
        {"", {number, gpt2}});
    add({"command-r"}, {.patterns = {number, gpt2}, .composes = true});
    add({"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
         "jina-v5-nano"},
        {.patterns = {llama3}, .ignore_merges = true, .adds_bos = true});
    add({"dbrx", "smaug-bpe", "chatglm-bpe"}, {"", {llama3}});
    add({"glm4", "glm5"}, {.patterns = {llama3}, .ignore_merges = true});
    add({"qwen2"}, {.patterns = {qwen2}, .composes = true});
    add({"deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open",
         "grok-2"},
        {"", {qwen2}});
    add({"qwen35"}, {"", {qwen35}});
    add({"falcon"}, {"", {falcon_punctuation, gpt2, three_digits}});
    add({"deepseek-llm"}, {"",
                           {line_end, deepseek_letters, deepseek_punctuation, trailing_space,
                            deepseek_asian, numbers}});
    add({"deepseek-coder"},
        {"",
         {line_end, deepseek_coder_letters, deepseek_coder_punctuation, deepseek_asian, number}});
    add({"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"},
        {"", {up_to_three, deepseek3_asian, deepseek3_words}});
    add({"spark2_5"}, {"", {up_to_three, deepseek3_asian, spark_words, number}});
    add({"youtu"}, {.patterns = {youtu_scripts, youtu_words}, .ignore_merges = true});
    add({"jais-2"}, {"", {jais2}});
    add({"minicpm5"}, {.patterns = {up_to_three, minicpm5}, .ignore_merges = true});
    add({"poro-chat", "bloom", "gpt3-finnish"}, {"", {bloom}});
    add({"viking"}, {"", {bloom, number}});
    add({"tekken"}, {.patterns = {tekken}, .ignore_merges = true, .adds_bos = true});
    add({"chameleon"}, {.patterns = {chameleon_sentinels, chameleon_images, chameleon_spaces,
                                     number, chameleon_punctuation, gpt2},
                        .adds_bos = true});
    add({"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"}, {"", {gpt4o}});
    add({"granite-embed-multi-97m"}, {.patterns = {gpt4o}, .ignore_merges = true});
    add({"tiny_aya", "cohere2moe"}, {.patterns = {gpt4o}, .digits = digit_grouping::words});
    add({"kimi-k2"}, {"", {kimi_k2}});
    add({"superbpe"}, {.patterns = {numbers}, .digits = digit_grouping::inside});
    add({"bailingmoe", "bailingmoe2", "llada-moe"}, {"", {bailingmoe}});
    add({"seed-coder"}, {"", {seed_coder}});
    add({"ufakzeka"}, {"", {ufakzeka}});
    add({"afmoe"}, {.patterns = {afmoe_asian, deepseek3_words}, .digits = digit_grouping::after});
    add({"laguna"}, {"", {lines, qwen2}});
    add({"exaone-moe"}, {"", {exaone_moe}});
    add({"gemma4", "granite-embed-multi-311m", "sarvam-moe"},
        {.patterns = {lines}, .marks_spaces = true});
    return out;
}

/// How a family of BPE models cuts its text.
struct text_family {
    normalizer normalize;
    pre_tokenizer cut;
    bool ignore_merges = false;
    bool marks_spaces = false;
};

/// The row of a name; an empty one is "default". Nothing where there is no such name.
inline std::optional<pre_name> find_pre_name(std::string_view name) {
    if (name.empty()) { name = "default"; }
    const std::vector<pre_name> all = pre_names();
    const auto row = std::ranges::find(all, name, &pre_name::name);
    return row == all.end() ? std::nullopt : std::optional(*row);
}

/// The family that a GGUF file names in `tokenizer.ggml.pre`. Throws for a name that is not known.
inline text_family find_family(std::string_view pre, const std::string& file) {
    const std::string where = file + ": tokenizer.ggml.pre";
    const std::optional<pre_name> row = find_pre_name(pre);
    if (!row) {
        fail(
            "{}: expected one of the {} names that are known, such as gpt-2, llama-bpe, qwen2, got "
            "{}",
            where, pre_names().size(), printable(pre));
    }
    std::vector<pre_tokenizer::step> cuts;
    // SuperBPE isolates its numbers first.
    const bool numbers_first = row->digits == digit_grouping::inside;
    if (row->digits && !numbers_first) { cuts.emplace_back(digit_step{*row->digits}); }
    for (const std::string_view pattern : row->patterns) {
        if (pattern.empty()) { break; }
        cuts.emplace_back(split_step{regex(pattern, where), split_behavior::isolated, false});
    }
    if (numbers_first) { cuts.emplace_back(digit_step{*row->digits}); }
    std::vector<normalizer::step> steps;
    if (row->composes) { steps.emplace_back(normal_form{true, false}); }
    if (row->marks_spaces) {
        steps.emplace_back(replace_all{regex(" ", where), std::string(space_mark)});
    } else {
        cuts.emplace_back(byte_level_step{false, std::nullopt});
    }
    return {normalizer(std::move(steps)), pre_tokenizer(std::move(cuts)), row->ignore_merges,
            row->marks_spaces};
}

}  // namespace xlens
