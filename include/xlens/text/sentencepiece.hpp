// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/text/byte_trie.hpp>
#include <xlens/text/merge_symbols.hpp>
#include <xlens/text/token_map.hpp>
#include <xlens/text/utf8.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace xlens {

/// Tokens of a SentencePiece model that merging treats in their own way; GGUF files have none.
struct sentencepiece_marks {
    std::shared_ptr<const byte_trie> keeps;  // user-defined tokens: taken as they stand
    std::vector<bool> unused;                // by id: merged, but taken apart again in the end
};

/// The merging of SentencePiece's BPE models (Kudo and Richardson 2018), as Llama 1 and 2 use it:
/// neighbours whose concatenation is a token are merged, highest score first; a character without a
/// token is spelt in byte tokens, or else unknown, neighbours together.
class sentencepiece {
public:
    using byte_table = std::array<std::optional<token_id>, 256>;

    /// `vocabulary`: the tokens that merging may make (not control, unknown or byte tokens), with
    /// `scores` by token id. Throws where neither all 256 bytes nor the unknown token are there.
    sentencepiece(token_map vocabulary, std::vector<float> scores, byte_table byte_tokens,
                  std::optional<token_id> unknown, std::string_view file,
                  sentencepiece_marks marks = {})
        : m_vocabulary(std::move(vocabulary)),
          m_scores(std::move(scores)),
          m_byte_tokens(byte_tokens),
          m_unknown(unknown),
          m_marks(std::move(marks)) {
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
        std::vector<detail::symbol> symbols = characters(word, raw);
        split_map splits;
        if (!raw) {
            detail::merge_symbols<float>(symbols, [&](const detail::symbol& left,
                                                      const detail::symbol& right) {
                const std::string_view both(left.text.data(), left.text.size() + right.text.size());
                const auto id = find_token(m_vocabulary, both);
                if (!id) { return detail::merge_candidate<float>{}; }
                if (is_unused(*id)) { splits[both] = left.text.size(); }
                return detail::merge_candidate<float>{-m_scores[static_cast<std::size_t>(*id)], *id,
                                                      true};
            });
        }
        bool unknown = false;
        for (const detail::symbol& s : symbols) { finish(s.text, s.id, splits, unknown, out); }
    }

private:
    /// Where a token that is unused was put together.
    using split_map = std::unordered_map<std::string_view, std::size_t>;

    [[nodiscard]] bool is_unused(token_id id) const {
        return static_cast<std::size_t>(id) < m_marks.unused.size() &&
               m_marks.unused[static_cast<std::size_t>(id)];
    }

    [[nodiscard]] std::vector<detail::symbol> characters(std::string_view word, bool raw) const {
        std::vector<detail::symbol> out;
        for (std::size_t at = 0; at < word.size(); at += out.back().text.size()) {
            const std::size_t kept = raw || !m_marks.keeps ? 0 : m_marks.keeps->longest(word, at);
            const std::size_t length = kept > 0 ? kept : raw ? 1 : read_utf8(word, at).length;
            const std::string_view text = word.substr(at, length);
            out.push_back({text, raw ? -1 : find_token(m_vocabulary, text).value_or(-1), kept > 0});
        }
        return out;
    }

    /// Writes a symbol; an unused one in the two parts that it was merged from.
    void finish(std::string_view text, token_id id, const split_map& splits, bool& unknown,
                std::vector<token_id>& out) const {
        struct part {
            std::string_view text;
            token_id id;
        };
        std::vector<part> stack{{text, id}};
        while (!stack.empty()) {
            const part now = stack.back();
            stack.pop_back();
            const auto split =
                now.id >= 0 && is_unused(now.id) ? splits.find(now.text) : splits.end();
            if (split != splits.end()) {
                for (const std::string_view half :
                     {now.text.substr(split->second), now.text.substr(0, split->second)}) {
                    stack.push_back({half, find_token(m_vocabulary, half).value_or(-1)});
                }
            } else if (now.id >= 0) {
                out.push_back(now.id);
                unknown = false;
            } else {
                unknown = !spell_bytes(now.text, unknown, out);
            }
        }
    }

    /// Whether the bytes could be spelt; else one unknown token for all neighbours is there.
    bool spell_bytes(std::string_view text, bool after_unknown, std::vector<token_id>& out) const {
        const auto byte_token = [&](char c) {
            return m_byte_tokens[static_cast<unsigned char>(c)];
        };
        if (!std::ranges::all_of(text, [&](char c) { return byte_token(c).has_value(); })) {
            if (!after_unknown) { out.push_back(*m_unknown); }
            return false;
        }
        for (const char c : text) { out.push_back(*byte_token(c)); }
        return true;
    }

    token_map m_vocabulary;
    std::vector<float> m_scores;
    byte_table m_byte_tokens;
    std::optional<token_id> m_unknown;
    sentencepiece_marks m_marks;
};

}  // namespace xlens
