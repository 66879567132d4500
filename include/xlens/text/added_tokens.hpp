// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/text/unicode.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens {

/// A token that is found in the text as it stands, before any merging.
struct added_token {
    token_id id = 0;
    std::string content;
    bool special = false;      // control token: plain text unless the caller asks for it
    bool left_strip = false;   // takes the white space before it along
    bool right_strip = false;  // takes the white space after it along
    bool single_word = false;  // only where no word character touches it
    bool normalized = false;   // looked for in the normalised text, not in the text as given
};

/// A section of text: one added token, or text between them.
struct text_section {
    std::string_view text;
    std::optional<token_id> token;
};

/// Finds added tokens in text, leftmost first and the longest of those that begin together.
class added_tokens {
public:
    added_tokens() = default;
    /// Throws for a token of more than 1024 bytes: each byte of a text may cost as many steps.
    explicit added_tokens(std::vector<added_token> tokens) : m_tokens(std::move(tokens)) {
        for (std::size_t i = 0; i < m_tokens.size(); ++i) {
            if (m_tokens[i].content.size() > max_content) {
                fail("added token {} of {} bytes, expected at most {}",
                     printable(m_tokens[i].content), m_tokens[i].content.size(), max_content);
            }
            if (!m_tokens[i].content.empty()) { insert(m_tokens[i].content, i); }
        }
    }

    [[nodiscard]] bool empty() const { return m_tokens.empty(); }

    /// Cuts `text` into sections, in order, none empty. A special token is left in the text unless
    /// `parse_special`; nothing that overlaps it is found either, as in Hugging Face's tokenizers.
    [[nodiscard]] std::vector<text_section> split(std::string_view text, bool parse_special) const {
        std::vector<text_section> out;
        std::size_t done = 0;
        for (std::size_t at = 0; at < text.size();) {
            const auto hit = longest_at(text, at);
            if (!hit) {
                ++at;
                continue;
            }
            const added_token& token = m_tokens[*hit];
            std::size_t begin = at;
            std::size_t end = at + token.content.size();
            at = end;
            if ((token.special && !parse_special) ||
                (token.single_word && touches_word(text, begin, end))) {
                continue;
            }
            if (token.left_strip) {
                begin -= trailing_white_space(text.substr(done, begin - done));
            }
            if (token.right_strip) { end += leading_white_space(text.substr(end)); }
            if (begin > done) { out.push_back({text.substr(done, begin - done), std::nullopt}); }
            out.push_back({text.substr(begin, end - begin), token.id});
            done = end;
        }
        if (done < text.size()) { out.push_back({text.substr(done), std::nullopt}); }
        return out;
    }

private:
    static constexpr std::size_t max_content = 1024;

    /// A trie: the bytes that may follow, and the token that ends here.
    struct node {
        std::map<char, std::uint32_t> next;
        std::optional<std::size_t> token;
    };

    void insert(std::string_view content, std::size_t token) {
        std::uint32_t at = 0;
        for (const char c : content) {
            const auto [it, fresh] =
                m_nodes[at].next.try_emplace(c, static_cast<std::uint32_t>(m_nodes.size()));
            at = it->second;
            if (fresh) { m_nodes.emplace_back(); }
        }
        m_nodes[at].token = token;
    }

    [[nodiscard]] std::optional<std::size_t> longest_at(std::string_view text,
                                                        std::size_t at) const {
        std::optional<std::size_t> longest;
        std::uint32_t state = 0;
        for (; at < text.size(); ++at) {
            const auto it = m_nodes[state].next.find(text[at]);
            if (it == m_nodes[state].next.end()) { break; }
            state = it->second;
            if (m_nodes[state].token) { longest = m_nodes[state].token; }
        }
        return longest;
    }

    static bool touches_word(std::string_view text, std::size_t begin, std::size_t end) {
        const utf8_unit before = last_utf8(text.substr(0, begin));
        if (before.valid && is_word(before.value)) { return true; }
        if (end == text.size()) { return false; }
        const utf8_unit after = read_utf8(text, end);
        return after.valid && is_word(after.value);
    }

    std::vector<added_token> m_tokens;
    std::vector<node> m_nodes{node{}};
};

}  // namespace xlens
