// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/text/tokenizer_data.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(io)
#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/text/pre_names.hpp>

#include <fmt/ranges.h>
#include <algorithm>
#endif

namespace xlens {

/// The tokenizer in a GGUF file's metadata (`tokenizer.ggml...`). Checks that every key has its
/// type and every array as many entries as there are tokens; what the entries mean is for
/// make_tokenizer() to check. Copies the vocabulary.
XLENS_API tokenizer_data read_tokenizer(const gguf_file& file);

#if XLENS_DEFINES(io)
namespace detail {

inline std::optional<std::int64_t> read_token_id(const gguf_file& file, std::string_view key) {
    if (!file.has(key)) { return std::nullopt; }
    const auto id = file.unsigned_integer(key);
    if (!std::in_range<token_id>(id)) {
        fail("{}: {}: expected 0 to {}, got {}", file.name(), key,
             std::numeric_limits<token_id>::max(), id);
    }
    return static_cast<std::int64_t>(id);
}

inline std::vector<std::int32_t> read_token_types(const gguf_file& file) {
    constexpr std::string_view key = "tokenizer.ggml.token_type";
    std::vector<std::int32_t> types;
    if (!file.has(key)) { return types; }
    for (const auto type : file.integers(key)) {
        if (!std::in_range<std::int32_t>(type)) {
            fail("{}: {}: expected 1 to 6, got {}", file.name(), key, type);
        }
        types.push_back(static_cast<std::int32_t>(type));
    }
    return types;
}

/// `tokenizer.ggml.model`, or an error that says what can be used.
inline std::string read_tokenizer_kind(const gguf_file& file) {
    constexpr std::string_view key = "tokenizer.ggml.model";
    std::string kind = file.string(key);
    if (std::ranges::find(tokenizer_kinds, kind) == tokenizer_kinds.end()) {
        fail("{}: {}: expected one of {}, got {}", file.name(), key,
             fmt::to_string(fmt::join(tokenizer_kinds, ", ")), printable(kind));
    }
    return kind;
}

/// The precompiled_charsmap: an array of bytes, signed or not.
inline std::string read_charsmap(const gguf_file& file) {
    constexpr std::string_view key = "tokenizer.ggml.precompiled_charsmap";
    std::string out;
    if (!file.has(key)) { return out; }
    for (const std::int64_t byte : file.integers(key)) {
        if (byte < -128 || byte > 255) {
            fail("{}: {}: expected bytes, got {}", file.name(), key, byte);
        }
        out += static_cast<char>(static_cast<unsigned char>(byte & 0xFF));
    }
    return out;
}

/// What llama.cpp does where the file does not say: SentencePiece models and some families begin
/// with bos, T5 ends with eos. Gemma 4 begins with bos even where the file denies it.
inline void read_ends(const gguf_file& file, tokenizer_data& data) {
    const auto row = find_pre_name(data.pre);
    const bool byte_level = data.model == "gpt2";
    const bool adds_bos = data.model == "llama" || data.model == "bert" || data.model == "gemma4" ||
                          (byte_level && row && row->adds_bos);
    data.add_bos = file.boolean("tokenizer.ggml.add_bos_token", adds_bos && data.bos);
    data.add_eos = file.boolean("tokenizer.ggml.add_eos_token", data.model == "t5" && data.eos);
    if (data.model == "gemma4" && data.bos) { data.add_bos = true; }
}

/// The ids of bos, eos, eot, eom, unknown and separator. Where the file has none, llama.cpp takes
/// those of the kind's first model; here only if they are control tokens.
inline void read_special_ids(const gguf_file& file, tokenizer_data& data) {
    const auto read = [&](std::string_view key, std::int64_t otherwise = -1) {
        auto id = read_token_id(file, key);
        if (id && std::cmp_greater_equal(*id, data.tokens.size())) {
            fail("{}: {}: expected an id below {}, the number of tokens, got {}", file.name(), key,
                 data.tokens.size(), *id);
        }
        if (!id && otherwise >= 0 && std::cmp_less(otherwise, data.types.size())) {
            const std::int32_t type = data.types[static_cast<std::size_t>(otherwise)];
            if (type == token_type::control || type == token_type::unknown) { id = otherwise; }
        }
        return id;
    };
    const bool llama = data.model == "llama";
    const bool t5 = data.model == "t5";
    const bool bert = data.model == "bert";
    data.bos = read("tokenizer.ggml.bos_token_id", llama ? 1 : -1);
    if (bert && !data.bos) { data.bos = read("tokenizer.ggml.cls_token_id", 101); }
    data.eos = read("tokenizer.ggml.eos_token_id", llama ? 2 : t5 ? 1 : -1);
    data.unknown = read("tokenizer.ggml.unknown_token_id", llama ? 0 : t5 ? 2 : bert ? 100 : -1);
    if (bert) { data.separator = read("tokenizer.ggml.seperator_token_id", 102); }
    data.eot = read("tokenizer.ggml.eot_token_id");
    data.eom = read("tokenizer.ggml.eom_token_id");
}

}  // namespace detail

XLENS_API tokenizer_data read_tokenizer(const gguf_file& file) {
    tokenizer_data data;
    data.file = file.name();
    data.model = detail::read_tokenizer_kind(file);
    const bool pieces = data.model == "llama";
    const bool has_scores = pieces || data.model == "t5";
    const bool merged = data.model == "gpt2" || data.model == "gemma4";
    data.pre = file.string("tokenizer.ggml.pre", "");
    data.tokens = file.strings("tokenizer.ggml.tokens");
    const auto check_length = [&](std::string_view key, std::size_t length) {
        if (file.has(key) && length != data.tokens.size()) {
            fail("{}: {}: expected {} entries, as many as tokens, got {}", file.name(), key,
                 data.tokens.size(), length);
        }
    };
    constexpr std::string_view scores = "tokenizer.ggml.scores";
    constexpr std::string_view merges = "tokenizer.ggml.merges";
    if (has_scores || file.has(scores)) { data.scores = file.numbers(scores); }
    check_length(scores, data.scores.size());
    data.types = detail::read_token_types(file);
    check_length("tokenizer.ggml.token_type", data.types.size());
    if (merged || file.has(merges)) { data.merges = file.strings(merges); }
    detail::read_special_ids(file, data);
    detail::read_ends(file, data);
    data.add_space_prefix = file.boolean("tokenizer.ggml.add_space_prefix", pieces);
    data.remove_extra_spaces = file.boolean("tokenizer.ggml.remove_extra_whitespaces", false);
    if (data.model == "t5") { data.charsmap = detail::read_charsmap(file); }
    data.lowercase = file.boolean("tokenizer.ggml.normalizer.lowercase", true);
    data.strip_accents = file.boolean("tokenizer.ggml.normalizer.strip_accents", data.lowercase);
    std::string title = file.string("general.name", "");
    std::ranges::transform(title, title.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    data.strips_behind =
        title.find("phi-3") != std::string::npos || title.find("phi3") != std::string::npos;
    data.chat_template = file.string("tokenizer.chat_template", "");
    if (file.has("tokenizer.chat_templates")) {
        for (const std::string& name : file.strings("tokenizer.chat_templates")) {
            data.chat_templates[name] = file.string("tokenizer.chat_template." + name);
        }
    }
    // Chat templates may ask for these; nothing else does, so that a number that is no token's
    // (some files have 2^32 - 1) is none.
    const auto name_token = [&](const std::string& name, std::string_view key) {
        const auto id = file.has(key) ? file.unsigned_integer(key) : data.tokens.size();
        if (id < data.tokens.size()) { data.named_tokens[name] = static_cast<std::int64_t>(id); }
    };
    name_token("unk_token", "tokenizer.ggml.unknown_token_id");
    name_token("pad_token", "tokenizer.ggml.padding_token_id");
    name_token("sep_token", "tokenizer.ggml.seperator_token_id");  // as the format spells it
    name_token("cls_token", "tokenizer.ggml.cls_token_id");
    name_token("mask_token", "tokenizer.ggml.mask_token_id");
    return data;
}
#endif

}  // namespace xlens
