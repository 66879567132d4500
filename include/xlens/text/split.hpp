// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/regex.hpp>

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

namespace xlens {

/// What becomes of the text that a split pattern matches (the names of tokenizer.json).
enum class split_behavior {
    removed,               // dropped
    isolated,              // a piece of its own
    merged_with_previous,  // the end of the piece before it
    merged_with_next,      // the start of the piece after it
    contiguous,            // neighbouring matches form one piece
};

struct text_range {
    std::size_t begin = 0;
    std::size_t end = 0;
};

namespace detail {

struct split_part {
    text_range range;
    bool match = false;
};

/// Matches and the stretches between them, in order; `invert` swaps their roles.
inline std::vector<split_part> find_parts(const regex& pattern, bool invert, std::string_view text,
                                          match_budget& budget) {
    std::vector<split_part> parts;
    std::size_t done = 0;
    pattern.for_each_match(text, budget, [&](std::size_t begin, std::size_t end) {
        if (begin > done) { parts.push_back({{done, begin}, invert}); }
        parts.push_back({{begin, end}, !invert});
        done = end;
    });
    if (text.size() > done) { parts.push_back({{done, text.size()}, invert}); }
    return parts;
}

/// Whether `part` joins the piece before it (in the order of the walk).
inline bool joins(split_behavior behavior, bool match, bool previous_match) {
    if (behavior == split_behavior::contiguous) { return match == previous_match; }
    return behavior != split_behavior::isolated && match && !previous_match;
}

}  // namespace detail

/// The pieces that `pattern` cuts `text` into, in order, without the empty ones. Throws where the
/// budget is spent. Source: the split behaviours of Hugging Face's tokenizers.
inline std::vector<text_range> split_text(const regex& pattern, split_behavior behavior,
                                          bool invert, std::string_view text,
                                          match_budget& budget) {
    std::vector<detail::split_part> parts = detail::find_parts(pattern, invert, text, budget);
    const bool backwards = behavior == split_behavior::merged_with_next;
    if (backwards) { std::ranges::reverse(parts); }
    std::vector<text_range> out;
    bool previous_match = false;
    for (const auto& [range, match] : parts) {
        if (behavior == split_behavior::removed) {
            if (!match) { out.push_back(range); }
        } else if (!out.empty() && detail::joins(behavior, match, previous_match)) {
            (backwards ? out.back().begin : out.back().end) = backwards ? range.begin : range.end;
        } else {
            out.push_back(range);
        }
        previous_match = match;
    }
    if (backwards) { std::ranges::reverse(out); }
    std::erase_if(out, [](const text_range& r) { return r.begin == r.end; });
    return out;
}

}  // namespace xlens
