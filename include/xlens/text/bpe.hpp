// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/text/merge_symbols.hpp>
#include <xlens/text/token_map.hpp>
#include <xlens/text/utf8.hpp>

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace xlens {

/// The two spellings that one merge joins.
using merge_parts = std::pair<std::string, std::string>;

struct bpe_options {
    bool ignore_merges = false;       // a whole word that is a token is that token
    bool whole_line_ends = false;     // a word of \n alone that is a token is that token
    bool byte_fallback = false;       // characters without a token are spelt in <0xHH> tokens
    bool fuse_unknown = false;        // neighbouring unknown characters are one unknown token
    std::optional<token_id> unknown;  // without it, unknown characters are dropped
};

/// Splits "left right" at its single space. Throws for no or several spaces, or an empty part:
/// where the space belongs to a part, the file must write the pair as a list.
inline merge_parts parse_merge(std::string_view text, std::string_view where) {
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos ||
        space == 0 || space + 1 == text.size()) {
        fail("{} is \"{}\", expected two tokens with one space between", where, printable(text));
    }
    return {std::string(text.substr(0, space)), std::string(text.substr(space + 1))};
}

/// Byte-pair encoding of one word (Sennrich et al. 2016): its characters, merged by the pair of
/// lowest rank until none is left.
class bpe {
public:
    /// `merges` in order of rank. Throws where a part or the result of a merge is not in the
    /// vocabulary; with `ignore_merges` such a merge is skipped (Llama 3.2 ships some).
    bpe(token_map vocabulary, const std::vector<merge_parts>& merges, bpe_options options,
        std::string_view file)
        : m_vocabulary(std::move(vocabulary)), m_options(options) {
        for (std::size_t rank = 0; rank < merges.size(); ++rank) {
            const auto& [left, right] = merges[rank];
            const auto a = part(left, rank, file);
            const auto b = part(right, rank, file);
            const auto joined = part(left + right, rank, file);
            if (a && b && joined) {
                m_merges[key(*a, *b)] = {static_cast<std::uint32_t>(rank), *joined, true};
            }
        }
        for (std::size_t b = 0; b < 256; ++b) {
            m_byte_tokens[b] = find_token(m_vocabulary, fmt::format("<0x{:02X}>", b));
        }
    }

    /// Appends the tokens of `word`; `raw` marks bytes that are not UTF-8. O(n log n).
    void encode(std::string_view word, bool raw, std::vector<token_id>& out) const {
        const bool line_ends =
            m_options.whole_line_ends && word.find_first_not_of('\n') == std::string_view::npos;
        if (m_options.ignore_merges || line_ends) {
            if (const auto whole = find_token(m_vocabulary, word)) {
                out.push_back(*whole);
                return;
            }
        }
        std::vector<detail::symbol> symbols = characters(word, raw);
        detail::merge_symbols<std::uint32_t>(
            symbols, [&](const detail::symbol& left, const detail::symbol& right) {
                const auto it = m_merges.find(key(left.id, right.id));
                return it == m_merges.end() ? detail::merge_candidate<std::uint32_t>{} : it->second;
            });
        for (const detail::symbol& s : symbols) { out.push_back(s.id); }
    }

private:
    static std::uint64_t key(token_id left, token_id right) {
        return std::uint64_t{static_cast<std::uint32_t>(left)} << 32U |
               static_cast<std::uint32_t>(right);
    }

    std::optional<token_id> part(const std::string& text, std::size_t rank,
                                 std::string_view file) const {
        const auto id = find_token(m_vocabulary, text);
        if (!id && !m_options.ignore_merges) {
            fail("{}: merges[{}]: \"{}\" is not in the vocabulary", file, rank, printable(text));
        }
        return id;
    }

    [[nodiscard]] std::vector<detail::symbol> characters(std::string_view word, bool raw) const {
        std::vector<detail::symbol> out;
        bool fusing = false;
        for (std::size_t at = 0; at < word.size();) {
            const std::size_t length = raw ? 1 : read_utf8(word, at).length;
            const std::string_view text = word.substr(at, length);
            at += length;
            const auto id = raw ? std::nullopt : find_token(m_vocabulary, text);
            if (id) {
                out.push_back({text, *id});
                fusing = false;
            } else if (spell_bytes(text, out)) {
                fusing = false;
            } else if (m_options.unknown) {
                if (fusing && m_options.fuse_unknown) {
                    out.back().text = {out.back().text.data(), out.back().text.size() + length};
                } else {
                    out.push_back({text, *m_options.unknown});
                }
                fusing = true;
            }
        }
        return out;
    }

    bool spell_bytes(std::string_view text, std::vector<detail::symbol>& out) const {
        if (!m_options.byte_fallback) { return false; }
        for (const char c : text) {
            if (!m_byte_tokens[static_cast<unsigned char>(c)]) { return false; }
        }
        for (std::size_t i = 0; i < text.size(); ++i) {
            out.push_back({text.substr(i, 1), *m_byte_tokens[static_cast<unsigned char>(text[i])]});
        }
        return true;
    }

    token_map m_vocabulary;
    std::unordered_map<std::uint64_t, detail::merge_candidate<std::uint32_t>> m_merges;
    std::array<std::optional<token_id>, 256> m_byte_tokens;
    bpe_options m_options;
};

}  // namespace xlens
