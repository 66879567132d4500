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

/// What llama.cpp does where the file does not say: SentencePiece models and the Llama 3 family
/// begin with bos.
inline bool adds_bos_by_default(const tokenizer_data& data) {
    const bool llama3 = data.pre == "llama-bpe" || data.pre == "llama3" || data.pre == "llama-v3";
    return (data.model == "llama" || llama3) && data.bos.has_value();
}

}  // namespace detail

XLENS_API tokenizer_data read_tokenizer(const gguf_file& file) {
    tokenizer_data data;
    data.file = file.name();
    data.model = file.string("tokenizer.ggml.model");
    if (data.model != "gpt2" && data.model != "llama") {
        fail("{}: tokenizer.ggml.model: expected gpt2 or llama, got {}", file.name(),
             printable(data.model));
    }
    const bool pieces = data.model == "llama";
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
    if (pieces || file.has(scores)) { data.scores = file.numbers(scores); }
    check_length(scores, data.scores.size());
    data.types = detail::read_token_types(file);
    check_length("tokenizer.ggml.token_type", data.types.size());
    if (!pieces || file.has(merges)) { data.merges = file.strings(merges); }
    const auto check_id = [&](std::string_view key) {
        const auto id = detail::read_token_id(file, key);
        if (id && std::cmp_greater_equal(*id, data.tokens.size())) {
            fail("{}: {}: expected an id below {}, the number of tokens, got {}", file.name(), key,
                 data.tokens.size(), *id);
        }
        return id;
    };
    data.bos = check_id("tokenizer.ggml.bos_token_id");
    data.eos = check_id("tokenizer.ggml.eos_token_id");
    data.eot = check_id("tokenizer.ggml.eot_token_id");
    data.eom = check_id("tokenizer.ggml.eom_token_id");
    data.unknown = check_id("tokenizer.ggml.unknown_token_id");
    data.add_bos = file.boolean("tokenizer.ggml.add_bos_token", detail::adds_bos_by_default(data));
    data.add_eos = file.boolean("tokenizer.ggml.add_eos_token", false);
    data.add_space_prefix = file.boolean("tokenizer.ggml.add_space_prefix", pieces);
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
