// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/text/merge_symbols.hpp>
#include <xlens/text/token_map.hpp>
#include <xlens/text/utf8.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens {

/// The merging of SentencePiece's BPE models (Kudo and Richardson 2018), as Llama 1 and 2 use it:
/// neighbours whose concatenation is a token are merged, highest score first; a character without a
/// token is spelt in byte tokens.
class sentencepiece {
public:
    using byte_table = std::array<std::optional<token_id>, 256>;

    /// `vocabulary`: the tokens that merging may make (not control, unknown or byte tokens), with
    /// `scores` by token id. Throws where neither all 256 bytes nor the unknown token are there.
    sentencepiece(token_map vocabulary, std::vector<float> scores, byte_table byte_tokens,
                  std::optional<token_id> unknown, std::string_view file)
        : m_vocabulary(std::move(vocabulary)),
          m_scores(std::move(scores)),
          m_byte_tokens(byte_tokens),
          m_unknown(unknown) {
        const auto missing =
            std::ranges::find_if(m_byte_tokens, [](const auto& id) { return !id.has_value(); });
        if (missing != m_byte_tokens.end() && !unknown) {
            fail(
                "{}: tokenizer.ggml.tokens: expected all byte tokens or an unknown token, but "
                "{} is missing",
                file, fmt::format("<0x{:02X}>", missing - m_byte_tokens.begin()));
        }
    }

    /// Appends the tokens of `word`, spaces already written as U+2581; `raw` marks bytes that are
    /// not UTF-8. O(n log n) in its length.
    void encode(std::string_view word, bool raw, std::vector<token_id>& out) const {
        std::vector<detail::symbol> symbols;
        for (std::size_t at = 0; at < word.size();) {
            const std::string_view text = word.substr(at, raw ? 1 : read_utf8(word, at).length);
            symbols.push_back({text, raw ? -1 : find_token(m_vocabulary, text).value_or(-1)});
            at += text.size();
        }
        if (!raw) {
            detail::merge_symbols<float>(
                symbols, [&](const detail::symbol& left, const detail::symbol& right) {
                    const auto id = find_token(
                        m_vocabulary, {left.text.data(), left.text.size() + right.text.size()});
                    if (!id) { return detail::merge_candidate<float>{}; }
                    return detail::merge_candidate<float>{-m_scores[static_cast<std::size_t>(*id)],
                                                          *id, true};
                });
        }
        for (const detail::symbol& s : symbols) {
            if (s.id >= 0) {
                out.push_back(s.id);
            } else {
                spell_bytes(s.text, out);
            }
        }
    }

private:
    void spell_bytes(std::string_view text, std::vector<token_id>& out) const {
        const auto byte_token = [&](char c) {
            return m_byte_tokens[static_cast<unsigned char>(c)];
        };
        if (!std::ranges::all_of(text, [&](char c) { return byte_token(c).has_value(); })) {
            out.push_back(*m_unknown);
            return;
        }
        for (const char c : text) { out.push_back(*byte_token(c)); }
    }

    token_map m_vocabulary;
    std::vector<float> m_scores;
    byte_table m_byte_tokens;
    std::optional<token_id> m_unknown;
};

}  // namespace xlens
