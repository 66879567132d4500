// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/text/byte_trie.hpp>
#include <xlens/text/unicode.hpp>

#include <cstddef>
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
    /// Throws for a token of more than 256 bytes: each byte of a text may cost as many steps.
    explicit added_tokens(std::vector<added_token> tokens) : m_tokens(std::move(tokens)) {
        std::vector<std::pair<std::string_view, token_id>> strings;
        for (const added_token& token : m_tokens) {
            if (token.content.size() > max_content) {
                fail("added token {} of {} bytes, expected at most {}", printable(token.content),
                     token.content.size(), max_content);
            }
            strings.emplace_back(token.content, static_cast<token_id>(strings.size()));
        }
        m_strings = byte_trie(std::move(strings));
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
    static constexpr std::size_t max_content = 256;

    /// The place in the list of the longest token that the text has at `at`.
    [[nodiscard]] std::optional<std::size_t> longest_at(std::string_view text,
                                                        std::size_t at) const {
        std::optional<std::size_t> longest;
        m_strings.each_prefix(text, at, [&](std::size_t, token_id place) {
            longest = static_cast<std::size_t>(place);
        });
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
    byte_trie m_strings;
};

}  // namespace xlens
