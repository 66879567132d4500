// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/text/byte_trie.hpp>
#include <xlens/text/utf8.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens {

/// A token of a unigram model.
struct unigram_token {
    std::string text;
    double score = 0;           // logarithm of its probability
    bool found = true;          // stands for its text; control and unknown tokens do not
    bool user_defined = false;  // taken wherever it stands
    bool counts = true;         // its score counts for the lowest one
};

struct unigram_options {
    std::optional<token_id> unknown;
    bool byte_fallback = false;     // what is unknown is spelt in <0xHH> tokens
    bool fuse_unknown = true;       // neighbouring unknown characters are one unknown token
    bool single_precision = false;  // sums as the sentencepiece library rounds them
};

/// The unigram language model of SentencePiece (Kudo 2018): of all ways to spell a text in tokens
/// the one whose scores have the largest sum; a character without a token costs 10 more than the
/// worst. Sums are double, as in Hugging Face's tokenizers and llama.cpp, or float, as in
/// sentencepiece.
class unigram {
public:
    using byte_table = std::array<std::optional<token_id>, 256>;

    /// Tokens by id. `where` begins the error where a text needs the unknown token and there is
    /// none.
    unigram(const std::vector<unigram_token>& tokens, const byte_table& bytes,
            unigram_options options, std::string where)
        : m_bytes(bytes), m_options(options), m_where(std::move(where)) {
        std::vector<std::pair<std::string_view, token_id>> strings;
        double lowest = std::numeric_limits<double>::max();
        // So sentencepiece starts: log probabilities are below, and user-defined tokens get -0.1.
        double highest = std::numeric_limits<float>::min();
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            const unigram_token& token = tokens[i];
            m_scores.push_back(token.score);
            m_user_defined.push_back(token.user_defined);
            if (token.found) { strings.emplace_back(token.text, static_cast<token_id>(i)); }
            if (token.counts) {
                lowest = std::min(lowest, token.score);
                highest = std::max(highest, token.score);
            }
        }
        m_unknown_score = rounded(lowest - 10);
        m_highest = highest;
        m_trie = byte_trie(std::move(strings));
    }

    /// Appends the tokens of `text`; `raw` marks bytes that are not UTF-8, each of which is an
    /// unknown character. O(bytes · longest token).
    void encode(std::string_view text, bool raw, std::vector<token_id>& out) const {
        const std::vector<part> parts = raw ? single_bytes(text) : best(text);
        for (std::size_t i = 0; i < parts.size();) {
            const part& p = parts[i++];
            if (p.id >= 0) {
                out.push_back(p.id);
                continue;
            }
            std::size_t end = p.begin + p.length;
            for (; m_options.fuse_unknown && i < parts.size() && parts[i].id < 0; ++i) {
                end += parts[i].length;
            }
            if (spell_bytes(text.substr(p.begin, end - p.begin), out)) { continue; }
            if (!m_options.unknown) { fail("{}: the text needs the unknown token", m_where); }
            out.push_back(*m_options.unknown);
        }
    }

private:
    struct part {
        std::size_t begin, length;
        token_id id;  // -1: unknown
    };
    /// The best spelling that ends at a byte.
    struct place {
        double score = 0;
        std::size_t length = 0;  // of its last token; 0: not reached
        token_id id = -1;
    };

    [[nodiscard]] double rounded(double sum) const {
        return m_options.single_precision ? static_cast<float>(sum) : sum;
    }

    [[nodiscard]] double score(token_id id, std::size_t length) const {
        const auto i = static_cast<std::size_t>(id);
        if (!m_user_defined[i]) { return m_scores[i]; }
        // What makes sentencepiece always choose it; llama.cpp scores it 0.
        return m_options.single_precision
                   ? rounded(rounded(static_cast<double>(length) * m_highest) - 0.1)
                   : 0.0;
    }

    [[nodiscard]] std::vector<part> best(std::string_view text) const {
        std::vector<place> ends(text.size() + 1);
        const auto offer = [&](std::size_t at, std::size_t length, double exact, token_id id) {
            place& end = ends[at + length];
            const double sum = rounded(exact);
            if (end.length == 0 || sum > end.score) { end = {sum, length, id}; }
        };
        for (std::size_t at = 0; at < text.size();) {
            const double here = ends[at].score;
            const std::size_t character = read_utf8(text, at).length;
            bool single = false;
            m_trie.each_prefix(text, at, [&](std::size_t length, token_id id) {
                offer(at, length, here + score(id, length), id);
                single = single || length == character;
            });
            if (!single) { offer(at, character, here + m_unknown_score, -1); }
            at += character;
        }
        std::vector<part> out;
        for (std::size_t end = text.size(); end > 0; end -= out.back().length) {
            out.push_back({end - ends[end].length, ends[end].length, ends[end].id});
        }
        std::ranges::reverse(out);
        return out;
    }

    static std::vector<part> single_bytes(std::string_view text) {
        std::vector<part> out;
        for (std::size_t i = 0; i < text.size(); ++i) { out.push_back({i, 1, -1}); }
        return out;
    }

    bool spell_bytes(std::string_view text, std::vector<token_id>& out) const {
        const auto token = [&](char c) { return m_bytes[static_cast<unsigned char>(c)]; };
        if (!m_options.byte_fallback ||
            !std::ranges::all_of(text, [&](char c) { return token(c).has_value(); })) {
            return false;
        }
        for (const char c : text) { out.push_back(*token(c)); }
        return true;
    }

    byte_trie m_trie;
    std::vector<double> m_scores;
    std::vector<bool> m_user_defined;
    byte_table m_bytes;
    double m_unknown_score = 0;
    double m_highest = 0;
    unigram_options m_options;
    std::string m_where;
};

}  // namespace xlens
