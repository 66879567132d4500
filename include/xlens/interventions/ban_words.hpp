// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/text/tokenizer.hpp>
#include <xlens/text/unicode.hpp>
#include <xlens/text/utf8.hpp>

#include <utf8proc.h>

#include <algorithm>
#include <limits>
#endif

namespace xlens {

class tokenizer;  // text/tokenizer.hpp

/// Policy that keeps words from being written, however they are cut into tokens: where a token
/// would complete one, given the text before it, its logit becomes -inf. A word is banned as it is
/// given, in small letters, in capitals and with a capital first, where it stands by itself: "art"
/// leaves "part" alone, and "artist" where one token goes on past it. Scripts without case have no
/// such borders: there it is banned inside of words, too. The WordFilter baseline of Geva et al.
/// 2022, section 6.1, over texts; `ban` is that over tokens.
///
/// Building it reads the vocabulary once a word: O(V · bytes of a token · bytes of the word).
class ban_words {
public:
    static constexpr hook hooks = hook::logits;
    static constexpr bool rowwise = true;

    /// Borrows the tokenizer. Throws xlens::error for an empty word and one that is not UTF-8.
    ban_words(const tokenizer& text, const std::vector<std::string>& words);

    void logits(const site& where, rows<float> z);

private:
    /// One spelling of a word.
    struct spelling {
        std::string bytes;
        /// Tokens that hold all of it, after a border of their own.
        std::vector<token_id> whole;
        /// [j]: tokens that complete it where the text ends with its first j bytes; [0]: those that
        /// begin with all of it.
        std::vector<std::vector<token_id>> rest;
    };

    void collect(spelling& one) const;
    [[nodiscard]] std::string end_of(std::span<const token_id> read) const;

    const tokenizer* m_text;
    std::size_t m_longest = 0;  ///< bytes of the longest spelling
    std::shared_ptr<const std::vector<spelling>> m_spellings;
};

#if XLENS_DEFINES(interventions)
namespace detail {

/// The word as it is given, in small letters, in capitals, and with a capital first; each once.
inline std::vector<std::string> cases_of(const std::string& word) {
    std::string lower;
    std::string upper;
    std::string title;
    for (std::size_t at = 0; at < word.size();) {
        const utf8_unit unit = read_utf8(word, at);
        const auto c = static_cast<utf8proc_int32_t>(unit.value);
        append_utf8(lower, static_cast<char32_t>(utf8proc_tolower(c)));
        append_utf8(upper, static_cast<char32_t>(utf8proc_toupper(c)));
        append_utf8(title,
                    static_cast<char32_t>(at == 0 ? utf8proc_totitle(c) : utf8proc_tolower(c)));
        at += unit.length;
    }
    std::vector<std::string> out{word, lower, upper, title};
    std::ranges::sort(out);
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

/// Whether a character joins one beside it to a word: a letter that has a case, or a digit.
inline bool joins(const utf8_unit& unit) {
    if (!unit.valid) { return false; }
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(unit.value));
    return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
           category == UTF8PROC_CATEGORY_LT || category == UTF8PROC_CATEGORY_ND;
}

/// Whether there is a border between two texts, each of which may be empty.
inline bool border(std::string_view left, std::string_view right) {
    if (left.empty() || right.empty()) { return true; }
    return !joins(last_utf8(left)) || !joins(read_utf8(right, 0));
}

}  // namespace detail

XLENS_API ban_words::ban_words(const tokenizer& text, const std::vector<std::string>& words)
    : m_text(&text) {
    auto all = std::make_shared<std::vector<spelling>>();
    for (const std::string& word : words) {
        if (word.empty()) { fail("ban: expected a word, got ''"); }
        if (!is_valid_utf8(word)) { fail("ban: '{}' is not valid UTF-8", printable(word)); }
        for (std::string& bytes : detail::cases_of(word)) {
            spelling& one = all->emplace_back();
            one.bytes = std::move(bytes);
            m_longest = std::max(m_longest, one.bytes.size());
            collect(one);
        }
    }
    m_spellings = std::move(all);
}

XLENS_API void ban_words::collect(spelling& one) const {
    const std::string_view word = one.bytes;
    one.rest.resize(word.size());
    for (std::size_t i = 0; i < m_text->size(); ++i) {
        const auto id = static_cast<token_id>(i);
        if (m_text->is_special(id)) { continue; }
        const std::string bytes = m_text->bytes(id);
        const std::string_view token = bytes;
        for (std::size_t j = 0; j < word.size(); ++j) {
            const std::string_view missing = word.substr(j);
            if (token.starts_with(missing) && detail::border(word, token.substr(missing.size()))) {
                one.rest[j].push_back(id);
            }
        }
        for (std::size_t at = token.find(word, 1); at < token.size();
             at = token.find(word, at + 1)) {
            if (detail::border(token.substr(0, at), word) &&
                detail::border(word, token.substr(at + word.size()))) {
                one.whole.push_back(id);
                break;
            }
        }
    }
}

/// The last bytes of a text: enough to hold all but one byte of a word, and a character before it.
XLENS_API std::string ban_words::end_of(std::span<const token_id> read) const {
    constexpr std::size_t character = 4;
    std::string out;
    for (std::size_t i = read.size(); i > 0 && out.size() < m_longest + character; --i) {
        const token_id id = read[i - 1];
        if (static_cast<std::size_t>(id) >= m_text->size()) { break; }
        out.insert(0, m_text->bytes(id));
    }
    return out;
}

XLENS_API void ban_words::logits(const site& where, rows<float> z) {
    for (std::size_t t = 0; t < z.count(); ++t) {
        const auto forbid = [&](const std::vector<token_id>& ids) {
            for (const token_id id : ids) {
                if (static_cast<std::size_t>(id) < z.width()) {
                    z[t][static_cast<std::size_t>(id)] = -std::numeric_limits<float>::infinity();
                }
            }
        };
        const std::size_t read = std::min(where.tokens.size(), where.first_position + t + 1);
        const std::string text = end_of(where.tokens.first(read));
        for (const spelling& one : *m_spellings) {
            const std::string_view word = one.bytes;
            forbid(one.whole);
            for (std::size_t j = 0; j < std::min(word.size(), text.size() + 1); ++j) {
                if (!text.ends_with(word.substr(0, j))) { continue; }
                const auto before = std::string_view(text).substr(0, text.size() - j);
                if (detail::border(before, word)) { forbid(one.rest[j]); }
            }
        }
    }
}
#endif

}  // namespace xlens
