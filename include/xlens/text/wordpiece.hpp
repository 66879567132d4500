// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>
#include <xlens/text/byte_trie.hpp>
#include <xlens/text/token_map.hpp>
#include <xlens/text/utf8.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens {

/// How a WordPiece vocabulary spells its tokens.
struct wordpiece_spelling {
    std::string first;          // before a token that begins a word: nothing, or U+2581 in GGUF
    std::string next = "##";    // before one that continues it: nothing in GGUF
    std::size_t longest = 100;  // characters; a longer word is unknown
};

/// WordPiece as BERT has it (Schuster and Nakajima 2012): the longest token that the rest of a word
/// begins with, again and again; a word that cannot be spelt so is one unknown token.
class wordpiece {
public:
    wordpiece(const token_map& vocabulary, token_id unknown, const wordpiece_spelling& how)
        : m_unknown(unknown), m_longest(how.longest) {
        const auto trie = [&](const std::string& mark, const std::string& other) {
            std::vector<std::pair<std::string_view, token_id>> strings;
            for (const auto& [token, id] : vocabulary) {
                const bool is_other = other.size() > mark.size() && token.starts_with(other);
                if (token.starts_with(mark) && !is_other) {
                    strings.emplace_back(std::string_view(token).substr(mark.size()), id);
                }
            }
            return byte_trie(std::move(strings));
        };
        // Hugging Face's WordPiece also begins a word with "##ing" where the text has it so.
        m_first = trie(how.first, "");
        m_next = trie(how.next, how.first);
    }

    /// Appends the tokens of `word`; `raw` marks bytes that are not UTF-8, an unknown word.
    void encode(std::string_view word, bool raw, std::vector<token_id>& out) const {
        const std::size_t before = out.size();
        bool known = !raw && characters(word) <= m_longest;
        for (std::size_t at = 0; known && at < word.size();) {
            std::size_t length = 0;
            token_id id = -1;
            (at == 0 ? m_first : m_next).each_prefix(word, at, [&](std::size_t bytes, token_id t) {
                length = bytes;
                id = t;
            });
            known = length > 0;
            if (known) { out.push_back(id); }
            at += length;
        }
        if (!known) {
            out.resize(before);
            out.push_back(m_unknown);
        }
    }

private:
    static std::size_t characters(std::string_view word) {
        std::size_t out = 0;
        for (std::size_t at = 0; at < word.size(); at += read_utf8(word, at).length) { ++out; }
        return out;
    }

    byte_trie m_first;
    byte_trie m_next;
    token_id m_unknown;
    std::size_t m_longest;
};

}  // namespace xlens
