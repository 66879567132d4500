// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/byte_trie.hpp>
#include <xlens/text/charsmap.hpp>
#include <xlens/text/space_mark.hpp>
#include <xlens/text/utf8.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace xlens {

/// What the sentencepiece library does to a text before it cuts it into tokens (NormalizerSpec).
struct piece_text {
    std::shared_ptr<const charsmap> map;     // none: characters stay as they are
    std::shared_ptr<const byte_trie> keeps;  // user-defined tokens, which nothing changes
    bool adds_space = true;                  // add_dummy_prefix
    bool removes_spaces = true;              // remove_extra_whitespaces
    bool marks_spaces = true;                // escape_whitespaces
    bool space_behind = false;               // treat_whitespace_as_suffix
};

namespace detail {

/// What stands for the characters at text[at...], and how many bytes those are.
inline charsmap::rule piece_prefix(const piece_text& how, std::string_view text, std::size_t at) {
    const std::size_t kept = how.keeps ? how.keeps->longest(text, at) : 0;
    if (kept > 0) { return {kept, text.substr(at, kept)}; }
    if (how.map) {
        if (const auto rule = how.map->longest(text, at)) { return *rule; }
    }
    const std::size_t length = read_utf8(text, at).length;
    return {length, text.substr(at, length)};
}

/// O(bytes). Source: sentencepiece, normalizer.cc, Normalizer::Normalize. `begins` is false for
/// text that goes on behind bytes that are not UTF-8: it gets no space before it.
inline std::string normalize_pieces(const piece_text& how, std::string_view text, bool begins) {
    const std::string_view space = how.marks_spaces ? space_mark : std::string_view(" ");
    std::size_t at = 0;
    while (how.removes_spaces && begins && at < text.size()) {
        const charsmap::rule rule = piece_prefix(how, text, at);
        if (rule.result != " ") { break; }
        at += rule.length;
    }
    std::string out;
    if (at == text.size()) { return out; }
    if (!how.space_behind && how.adds_space && begins) { out += space; }
    bool after_space = how.removes_spaces && begins;
    while (at < text.size()) {
        const charsmap::rule rule = piece_prefix(how, text, at);
        std::string_view result = rule.result;
        while (after_space && result.starts_with(' ')) { result.remove_prefix(1); }
        for (const char c : result) {
            if (c == ' ') {
                out += space;
            } else {
                out += c;
            }
        }
        if (!result.empty()) { after_space = result.ends_with(' '); }
        after_space = after_space && how.removes_spaces;
        at += rule.length;
    }
    while (how.removes_spaces && out.ends_with(space)) { out.resize(out.size() - space.size()); }
    if (how.space_behind && how.adds_space) { out += space; }
    return out;
}

}  // namespace detail

}  // namespace xlens
