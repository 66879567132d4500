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
#include <xlens/text/control_names.hpp>
#include <xlens/text/end_tokens.hpp>
#include <xlens/text/pre_names.hpp>
#include <xlens/text/space_mark.hpp>

#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#endif

namespace xlens {

/// The tokenizer that the arrays of a GGUF file describe. Control and unknown tokens are special,
/// and those that llama.cpp takes for control tokens (control_names.hpp); user-defined ones are
/// always found in the text. A gpt2 file that names no pre-tokenizer is cut as llama.cpp cuts it,
/// with a warning. Throws xlens::error, naming the key and both values, for every inconsistency.
XLENS_API tokenizer make_tokenizer(tokenizer_data data);

#if XLENS_DEFINES(text)
namespace detail {

inline std::int32_t type_of(const tokenizer_data& data, std::size_t id) {
    if (is_control_name(data.tokens[id])) { return token_type::control; }
    if (is_user_name(data.tokens[id])) { return token_type::user_defined; }
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
    const bool needs_scores = data.model == "llama" || data.model == "t5";
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
    if (data.model != "gpt2") { return {unmark_spaces(spelling), false, false}; }
    return {from_byte_alphabet(spelling).value_or(spelling), false, false};
}

/// The tokens by spelling, without those that merging must not make. Byte tokens of BPE stay: no
/// merge makes them, and they are looked for here.
inline token_map make_vocabulary(const tokenizer_data& data, bool with_bytes = false) {
    token_map all;
    for (std::size_t i = 0; i < data.tokens.size(); ++i) {
        if (data.tokens[i].empty()) { continue; }  // no text is it
        const auto [it, fresh] = all.try_emplace(data.tokens[i], static_cast<token_id>(i));
        if (!fresh) {
            fail("{}: tokenizer.ggml.tokens[{}]: {} is already token {}", data.file, i,
                 printable(data.tokens[i]), it->second);
        }
    }
    std::erase_if(all, [&](const auto& item) {
        const std::int32_t type = type_of(data, static_cast<std::size_t>(item.second));
        return is_control(type) || (type == token_type::byte && !with_bytes);
    });
    return all;
}

inline bpe make_merges(const tokenizer_data& data, const text_family& family,
                       std::optional<token_id> unknown) {
    std::vector<merge_parts> merges;
    merges.reserve(data.merges.size());
    for (std::size_t i = 0; i < data.merges.size(); ++i) {
        merges.push_back(parse_merge(data.merges[i],
                                     fmt::format("{}: tokenizer.ggml.merges[{}]", data.file, i)));
    }
    bpe_options options;
    options.ignore_merges = family.ignore_merges;
    if (family.marks_spaces) {
        options.whole_line_ends = true;
        options.byte_fallback = true;
        options.fuse_unknown = true;
        options.unknown = unknown;
    }
    return {make_vocabulary(data, family.marks_spaces), merges, options,
            data.file + ": tokenizer.ggml"};
}

/// The byte tokens by byte. Throws where two are the same.
inline std::array<std::optional<token_id>, 256> make_byte_table(
    const tokenizer_data& data, const std::vector<token_entry>& entries) {
    std::array<std::optional<token_id>, 256> out;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (!entries[i].single_byte) { continue; }
        auto& slot = out[static_cast<unsigned char>(entries[i].bytes[0])];
        if (slot) {
            fail("{}: tokenizer.ggml.tokens[{}]: {} is the same byte as token {}", data.file, i,
                 printable(data.tokens[i]), *slot);
        }
        slot = static_cast<token_id>(i);
    }
    return out;
}

inline unigram make_unigram(const tokenizer_data& data, std::optional<token_id> unknown,
                            const std::vector<token_entry>& entries) {
    static_cast<void>(make_vocabulary(data));  // no token twice
    std::vector<unigram_token> tokens;
    for (std::size_t i = 0; i < data.tokens.size(); ++i) {
        const std::int32_t type = type_of(data, i);
        unigram_token& token = tokens.emplace_back();
        token.text = data.tokens[i];
        token.score = data.scores[i];
        token.user_defined = type == token_type::user_defined;
        token.counts = type == token_type::normal;
        token.found = token.counts || token.user_defined;
    }
    unigram_options options;
    options.unknown = unknown;
    const auto bytes = make_byte_table(data, entries);
    options.byte_fallback = bytes['a'].has_value();
    return {tokens, bytes, options, data.file + ": tokenizer.ggml.unknown_token_id"};
}

inline wordpiece make_wordpiece(const tokenizer_data& data, std::optional<token_id> unknown) {
    if (!unknown) {
        fail("{}: tokenizer.ggml.unknown_token_id: expected the unknown token, got none",
             data.file);
    }
    return {make_vocabulary(data), *unknown, {std::string(space_mark), "", 100}};
}

inline sentencepiece make_sentencepiece(const tokenizer_data& data, std::optional<token_id> unknown,
                                        const std::vector<token_entry>& entries) {
    return {make_vocabulary(data), data.scores, make_byte_table(data, entries), unknown, data.file};
}

/// SentencePiece's own steps: a space before each section, spaces written as the mark.
inline normalizer mark_spaces(const tokenizer_data& data) {
    std::vector<normalizer::step> steps;
    if (data.add_space_prefix) { steps.emplace_back(prepend{" "}); }
    steps.emplace_back(
        replace_all{regex(" ", data.file + ": tokenizer.ggml.model"), std::string(space_mark)});
    return normalizer(std::move(steps));
}

/// How a kind that is no BPE treats text before it is cut into tokens.
inline text_family make_family(const tokenizer_data& data) {
    if (data.model == "llama") { return {mark_spaces(data), {}, false, true}; }
    if (data.model == "t5") {
        piece_text how;
        how.adds_space = data.add_space_prefix;
        how.removes_spaces = data.remove_extra_spaces;
        if (!data.charsmap.empty()) {
            how.map = std::make_shared<const charsmap>(
                data.charsmap, data.file + ": tokenizer.ggml.precompiled_charsmap");
        }
        return {normalizer({how}), {}, false, true};
    }
    const std::string where = data.file + ": tokenizer.ggml.model";
    const auto cut = [&](std::string_view pattern, split_behavior behavior) {
        return split_step{regex(pattern, where), behavior, false};
    };
    return {normalizer({bert_cleaning{true, true, data.strip_accents, data.lowercase}}),
            pre_tokenizer({cut(R"(\s)", split_behavior::removed),
                           cut(old_punctuation, split_behavior::isolated)}),
            false, true};
}

inline std::vector<added_token> make_added(const tokenizer_data& data) {
    constexpr std::array<std::string_view, 3> keep_space{"<unk>", "<s>", "<|endoftext|>"};
    std::vector<added_token> out;
    for (std::size_t i = 0; i < data.tokens.size(); ++i) {
        const std::int32_t type = type_of(data, i);
        if (!is_control(type) && type != token_type::user_defined) { continue; }
        added_token& token = out.emplace_back();
        token.id = static_cast<token_id>(i);
        token.content = data.tokens[i];
        token.special = is_control(type);
        token.right_strip =
            data.strips_behind && std::ranges::find(keep_space, token.content) == keep_space.end();
    }
    return out;
}

/// The tokens around a prompt.
inline void surround(const tokenizer_data& data, std::optional<token_id> bos,
                     std::optional<token_id> eos, tokenizer_parts& parts) {
    if (data.model == "bert") {
        eos = check_id(data, "seperator_token_id", data.separator);
        if (bos) { parts.prefix.push_back(*bos); }
        if (eos) { parts.suffix.push_back(*eos); }
        return;
    }
    if ((data.add_bos && !bos) || (data.add_eos && !eos)) {
        fail("{}: tokenizer.ggml.add_{}_token is true, but {}_token_id is missing", data.file,
             bos ? "eos" : "bos", bos ? "eos" : "bos");
    }
    if (data.add_bos) { parts.prefix.push_back(*bos); }
    if (data.add_eos) { parts.suffix.push_back(*eos); }
}

}  // namespace detail

XLENS_API tokenizer make_tokenizer(tokenizer_data data) {
    if (std::ranges::find(tokenizer_kinds, data.model) == tokenizer_kinds.end()) {
        fail("{}: tokenizer.ggml.model: expected one of {}, got {}", data.file,
             fmt::to_string(fmt::join(tokenizer_kinds, ", ")), printable(data.model));
    }
    detail::check_arrays(data);
    const auto unknown = detail::check_id(data, "unknown_token_id", data.unknown);
    const auto bos = detail::check_id(data, "bos_token_id", data.bos);
    const auto eos = detail::check_id(data, "eos_token_id", data.eos);
    std::vector<token_id> ends;
    for (const auto& [key, id] :
         {std::pair{"eos_token_id", data.eos}, std::pair{"eot_token_id", data.eot},
          std::pair{"eom_token_id", data.eom}}) {
        if (const auto end = detail::check_id(data, key, id)) { ends.push_back(*end); }
    }
    ends = end_tokens_by_spelling(data.tokens, std::move(ends), [&](token_id id) {
        return detail::is_control(detail::type_of(data, static_cast<std::size_t>(id)));
    });
    std::vector<token_entry> entries;
    for (std::size_t i = 0; i < data.tokens.size(); ++i) {
        entries.push_back(detail::make_entry(data, i));
    }
    const bool merged = data.model == "gpt2" || data.model == "gemma4";
    std::vector<std::string> warnings;
    if (data.model == "gpt2" && (data.pre.empty() || data.pre == "default")) {
        warnings.push_back(fmt::format(
            "{}: tokenizer.ggml.pre is {}: text is cut by llama.cpp's default patterns, which are "
            "probably not the model's; convert the model again",
            data.file, data.pre.empty() ? "missing" : "default"));
    }
    text_family family = merged
                             ? find_family(data.model == "gemma4" ? "gemma4" : data.pre, data.file)
                             : detail::make_family(data);
    using any_model = decltype(tokenizer_parts::model);
    any_model model = merged ? any_model(detail::make_merges(data, family, unknown))
                      : data.model == "llama"
                          ? any_model(detail::make_sentencepiece(data, unknown, entries))
                      : data.model == "t5" ? any_model(detail::make_unigram(data, unknown, entries))
                                           : any_model(detail::make_wordpiece(data, unknown));
    const bool drops_space =
        data.model == "bert" || (data.add_space_prefix && data.model != "gpt2");
    std::map<std::string, std::string, std::less<>> named_tokens;
    for (const auto& [name, id] : data.named_tokens) {
        const token_id token = *detail::check_id(data, name + "_id", id);
        named_tokens[name] = entries[static_cast<std::size_t>(token)].bytes;
    }
    tokenizer_parts parts{.file = data.file,
                          .tokens = std::move(entries),
                          .added = detail::make_added(data),
                          .normalize = std::move(family.normalize),
                          .cut = std::move(family.cut),
                          .model = std::move(model),
                          .bos = bos,
                          .eos = eos,
                          .ends = std::move(ends),
                          .drops_leading_space = drops_space,
                          .chat_template = std::move(data.chat_template),
                          .chat_templates = std::move(data.chat_templates),
                          .named_tokens = std::move(named_tokens),
                          .warnings = std::move(warnings)};
    detail::surround(data, bos, eos, parts);
    return tokenizer(std::move(parts));
}
#endif

}  // namespace xlens
