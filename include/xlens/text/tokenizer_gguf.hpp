// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/text/make_tokenizer.hpp>
#include <xlens/text/tokenizer.hpp>
#include <xlens/text/tokenizer_data.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace xlens {

/// The `tokenizer.ggml.*` keys of a GGUF file, with llama.cpp's defaults for the flags that are
/// missing: a SentencePiece model begins with the bos token and a space, a byte-level one with
/// neither (Llama 3's: with bos). Fails for wrong types and for a file without a tokenizer.
inline tokenizer_data read_tokenizer_data(const gguf_file& file) {
    tokenizer_data out;
    out.file = file.name();
    out.model = file.string("tokenizer.ggml.model");
    out.pre = file.string("tokenizer.ggml.pre", "");
    out.tokens = file.strings("tokenizer.ggml.tokens");
    if (file.has("tokenizer.ggml.scores")) { out.scores = file.numbers("tokenizer.ggml.scores"); }
    if (file.has("tokenizer.ggml.token_type")) {
        for (const std::int64_t type : file.integers("tokenizer.ggml.token_type")) {
            // Out of range of the array's type or of the enumeration: the same mistake.
            const bool fits = type >= 0 && type <= std::numeric_limits<std::int32_t>::max();
            out.types.push_back(fits ? static_cast<std::int32_t>(type) : -1);
        }
    }
    if (out.model == "gpt2") { out.merges = file.strings("tokenizer.ggml.merges"); }
    const auto id = [&](std::string_view key) -> std::optional<std::int64_t> {
        if (!file.has(key)) { return std::nullopt; }
        const std::uint64_t value = file.unsigned_integer(key);
        constexpr auto most = std::numeric_limits<std::int64_t>::max();
        if (value > static_cast<std::uint64_t>(most)) {
            fail("{}: {}: expected a token id, got {}", out.file, key, value);
        }
        return static_cast<std::int64_t>(value);
    };
    out.bos = id("tokenizer.ggml.bos_token_id");
    out.eos = id("tokenizer.ggml.eos_token_id");
    out.unknown = id("tokenizer.ggml.unknown_token_id");
    const bool pieces = out.model == "llama";
    const bool llama3 = out.pre == "llama-bpe" || out.pre == "llama3" || out.pre == "llama-v3";
    out.add_bos = file.boolean("tokenizer.ggml.add_bos_token", (pieces || llama3) && out.bos);
    out.add_eos = file.boolean("tokenizer.ggml.add_eos_token", false);
    out.add_space_prefix = file.boolean("tokenizer.ggml.add_space_prefix", pieces);
    out.chat_template = file.string("tokenizer.chat_template", "");
    return out;
}

/// The tokenizer of a GGUF file.
inline tokenizer load_tokenizer_gguf(const gguf_file& file) {
    return make_tokenizer(read_tokenizer_data(file));
}

}  // namespace xlens
