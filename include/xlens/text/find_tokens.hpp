// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/text/case_fold.hpp>
#include <xlens/text/regex.hpp>
#include <xlens/text/tokenizer.hpp>
#include <xlens/text/unicode.hpp>
#include <xlens/text/utf8.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace xlens {

/// The tokens that a word was looked up as, in the order of their ids.
struct word_tokens {
    std::string word;
    std::vector<token_id> tokens;
    bool pieces = false;  ///< no token is the whole word: these are parts of it
};

/// Calls visit(id, text) for every token that is text: not special, and valid UTF-8.
template <class Visit>
void each_text_token(const tokenizer& text, Visit visit) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto id = static_cast<token_id>(i);
        if (text.is_special(id)) { continue; }
        const std::string bytes = text.bytes(id);
        if (!bytes.empty() && is_valid_utf8(bytes)) { visit(id, bytes); }
    }
}

/// The tokens of some words. Of each word all tokens that are the word, in any case, with or
/// without one space before it; where there is none, the sub-word tokens into which the word is
/// cut, with and without a space. White space around a word does not count. One pass over the
/// vocabulary. Throws xlens::error for an empty word.
inline std::vector<word_tokens> find_words(const tokenizer& text,
                                           const std::vector<std::string>& looked_up) {
    std::vector<word_tokens> out;
    std::unordered_map<std::string, std::vector<std::size_t>> wanted;  // folded word -> its places
    for (const std::string& given : looked_up) {
        std::string_view word = given;
        word.remove_prefix(leading_white_space(word));
        word.remove_suffix(trailing_white_space(word));
        if (word.empty()) { fail("words: expected words, got an empty one"); }
        if (!is_valid_utf8(word)) { fail("words: '{}' is not valid UTF-8", printable(word)); }
        wanted[case_fold(word)].push_back(out.size());
        out.push_back({std::string(word), {}, false});
    }
    each_text_token(text, [&](token_id id, std::string_view token) {
        if (token.size() > 1 && token.front() == ' ') { token.remove_prefix(1); }
        const auto found = wanted.find(case_fold(token));
        if (found == wanted.end()) { return; }
        for (const std::size_t place : found->second) { out[place].tokens.push_back(id); }
    });
    for (word_tokens& one : out) {
        if (!one.tokens.empty()) { continue; }
        one.pieces = true;
        for (const std::string& form : {one.word, " " + one.word}) {
            const std::vector<token_id> cut = text.encode(form);
            one.tokens.insert(one.tokens.end(), cut.begin(), cut.end());
        }
        std::ranges::sort(one.tokens);
        const auto same = std::ranges::unique(one.tokens);
        one.tokens.erase(same.begin(), same.end());
    }
    return out;
}

/// The tokens in whose text, spaces included, the pattern matches somewhere: `^ ?(?i)cat$`.
/// Special tokens, and those that are no valid UTF-8, are left out. Throws where the pattern
/// reaches the limits of text/regex.hpp.
inline std::vector<token_id> find_pattern(const tokenizer& text, const regex& pattern) {
    std::vector<token_id> out;
    each_text_token(text, [&](token_id id, std::string_view token) {
        if (pattern.matches(token)) { out.push_back(id); }
    });
    return out;
}

}  // namespace xlens
