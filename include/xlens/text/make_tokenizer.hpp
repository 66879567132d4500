// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/text/tokenizer.hpp>
#include <xlens/text/tokenizer_data.hpp>

#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(text)
#include <xlens/core/error.hpp>
#include <xlens/text/byte_alphabet.hpp>
#include <xlens/text/byte_tokens.hpp>
#include <xlens/text/end_tokens.hpp>
#include <xlens/text/patterns.hpp>
#include <xlens/text/space_mark.hpp>
#endif

namespace xlens {

/// The tokenizer that the arrays of a GGUF file describe: byte-level BPE (`model` "gpt2") or
/// SentencePiece BPE with byte fallback ("llama"). Control and unknown tokens are special;
/// user-defined ones are always found in the text. Throws xlens::error, naming the key and both
/// values, for every inconsistency.
XLENS_API tokenizer make_tokenizer(tokenizer_data data);

#if XLENS_DEFINES(text)
namespace detail {

inline std::int32_t type_of(const tokenizer_data& data, std::size_t id) {
    return data.types.empty() ? token_type::normal : data.types[id];
}

inline bool is_control(std::int32_t type) {
    return type == token_type::control || type == token_type::unknown;
}

inline std::optional<token_id> check_id(const tokenizer_data& data, std::string_view key,
                                        std::optional<std::int64_t> id) {
    const auto size = static_cast<std::int64_t>(data.tokens.size());
    if (id && (*id < 0 || *id >= size)) {
        fail("{}: tokenizer.ggml.{}: expected 0 to {}, got {}", data.file, key, size - 1, *id);
    }
    return id ? std::optional(static_cast<token_id>(*id)) : std::nullopt;
}

inline void check_arrays(const tokenizer_data& data) {
    const std::size_t size = data.tokens.size();
    if (size == 0 || size > static_cast<std::size_t>(std::numeric_limits<token_id>::max())) {
        fail("{}: tokenizer.ggml.tokens: expected 1 to 2147483647 tokens, got {}", data.file, size);
    }
    if (!data.types.empty() && data.types.size() != size) {
        fail("{}: tokenizer.ggml.token_type: expected {} entries, as many as tokens, got {}",
             data.file, size, data.types.size());
    }
    const bool needs_scores = data.model == "llama";
    if ((needs_scores || !data.scores.empty()) && data.scores.size() != size) {
        fail("{}: tokenizer.ggml.scores: expected {} entries, as many as tokens, got {}", data.file,
             size, data.scores.size());
    }
    for (std::size_t i = 0; i < data.types.size(); ++i) {
        if (data.types[i] < token_type::normal || data.types[i] > token_type::byte) {
            fail("{}: tokenizer.ggml.token_type[{}]: expected 1 to 6, got {}", data.file, i,
                 data.types[i]);
        }
    }
    for (std::size_t i = 0; i < data.scores.size(); ++i) {
        if (!std::isfinite(data.scores[i])) {
            fail("{}: tokenizer.ggml.scores[{}]: expected a finite number, got {}", data.file, i,
                 data.scores[i]);
        }
    }
}

/// What token `id` stands for.
inline token_entry make_entry(const tokenizer_data& data, std::size_t id) {
    const std::string& spelling = data.tokens[id];
    const std::int32_t type = type_of(data, id);
    if (type == token_type::byte) {
        const auto byte = parse_byte_token(spelling);
        if (!byte) {
            fail("{}: tokenizer.ggml.tokens[{}]: expected a byte token <0x00> to <0xFF>, got {}",
                 data.file, id, printable(spelling));
        }
        return {std::string(1, static_cast<char>(*byte)), false, true};
    }
    if (is_control(type) || type == token_type::user_defined) {
        return {spelling, is_control(type), false};
    }
    if (data.model == "llama") { return {unmark_spaces(spelling), false, false}; }
    return {from_byte_alphabet(spelling).value_or(spelling), false, false};
}

/// The tokens by spelling, without those that merging must not make.
inline token_map make_vocabulary(const tokenizer_data& data) {
    token_map all;
    for (std::size_t i = 0; i < data.tokens.size(); ++i) {
        const auto [it, fresh] = all.try_emplace(data.tokens[i], static_cast<token_id>(i));
        if (!fresh) {
            fail("{}: tokenizer.ggml.tokens[{}]: {} is already token {}", data.file, i,
                 printable(data.tokens[i]), it->second);
        }
    }
    std::erase_if(all, [&](const auto& item) {
        const std::int32_t type = type_of(data, static_cast<std::size_t>(item.second));
        return is_control(type) || type == token_type::byte;
    });
    return all;
}

inline bpe make_byte_level(const tokenizer_data& data, bool ignore_merges) {
    std::vector<merge_parts> merges;
    merges.reserve(data.merges.size());
    for (std::size_t i = 0; i < data.merges.size(); ++i) {
        merges.push_back(parse_merge(data.merges[i],
                                     fmt::format("{}: tokenizer.ggml.merges[{}]", data.file, i)));
    }
    bpe_options options;
    options.ignore_merges = ignore_merges;
    return {make_vocabulary(data), merges, options, data.file + ": tokenizer.ggml"};
}

inline sentencepiece make_sentencepiece(const tokenizer_data& data, std::optional<token_id> unknown,
                                        const std::vector<token_entry>& entries) {
    sentencepiece::byte_table byte_tokens;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (!entries[i].single_byte) { continue; }
        auto& slot = byte_tokens[static_cast<unsigned char>(entries[i].bytes[0])];
        if (slot) {
            fail("{}: tokenizer.ggml.tokens[{}]: {} is the same byte as token {}", data.file, i,
                 printable(data.tokens[i]), *slot);
        }
        slot = static_cast<token_id>(i);
    }
    return {make_vocabulary(data), data.scores, byte_tokens, unknown, data.file};
}

/// SentencePiece's own steps: a space before each section, spaces written as the mark.
inline normalizer mark_spaces(const tokenizer_data& data) {
    std::vector<normalizer::step> steps;
    if (data.add_space_prefix) { steps.emplace_back(prepend{" "}); }
    steps.emplace_back(
        replace_all{regex(" ", data.file + ": tokenizer.ggml.model"), std::string(space_mark)});
    return normalizer(std::move(steps));
}

}  // namespace detail

XLENS_API tokenizer make_tokenizer(tokenizer_data data) {
    if (data.model != "gpt2" && data.model != "llama") {
        fail("{}: tokenizer.ggml.model: expected gpt2 or llama, got {}", data.file,
             printable(data.model));
    }
    detail::check_arrays(data);
    const auto unknown = detail::check_id(data, "unknown_token_id", data.unknown);
    const auto bos = detail::check_id(data, "bos_token_id", data.bos);
    const auto eos = detail::check_id(data, "eos_token_id", data.eos);
    if ((data.add_bos && !bos) || (data.add_eos && !eos)) {
        fail("{}: tokenizer.ggml.add_{}_token is true, but {}_token_id is missing", data.file,
             bos ? "eos" : "bos", bos ? "eos" : "bos");
    }
    std::vector<token_id> ends;
    for (const auto& [key, id] :
         {std::pair{"eos_token_id", data.eos}, std::pair{"eot_token_id", data.eot},
          std::pair{"eom_token_id", data.eom}}) {
        if (const auto end = detail::check_id(data, key, id)) { ends.push_back(*end); }
    }
    ends = end_tokens_by_spelling(data.tokens, std::move(ends));
    std::vector<token_entry> entries;
    std::vector<added_token> added;
    for (std::size_t i = 0; i < data.tokens.size(); ++i) {
        entries.push_back(detail::make_entry(data, i));
        const std::int32_t type = detail::type_of(data, i);
        if (detail::is_control(type) || type == token_type::user_defined) {
            added.push_back({static_cast<token_id>(i), data.tokens[i], detail::is_control(type)});
        }
    }
    const bool pieces = data.model == "llama";
    text_family family = pieces ? text_family{detail::mark_spaces(data), {}, false}
                                : find_family(data.pre, data.file);
    auto model =
        pieces
            ? std::variant<bpe, sentencepiece>(detail::make_sentencepiece(data, unknown, entries))
            : detail::make_byte_level(data, family.ignore_merges);
    std::map<std::string, std::string, std::less<>> named_tokens;
    for (const auto& [name, id] : data.named_tokens) {
        const token_id token = *detail::check_id(data, name + "_id", id);
        named_tokens[name] = entries[static_cast<std::size_t>(token)].bytes;
    }
    return tokenizer({data.file, std::move(entries), std::move(added), std::move(family.normalize),
                      std::move(family.cut), std::move(model),
                      data.add_bos ? std::vector{*bos} : std::vector<token_id>{},
                      data.add_eos ? std::vector{*eos} : std::vector<token_id>{}, bos, eos,
                      std::move(ends), pieces && data.add_space_prefix,
                      std::move(data.chat_template), std::move(data.chat_templates),
                      std::move(named_tokens)});
}
#endif

}  // namespace xlens
