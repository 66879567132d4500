// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/byte_alphabet.hpp>
#include <xlens/text/digit_groups.hpp>
#include <xlens/text/regex.hpp>
#include <xlens/text/split.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace xlens {

/// A stretch of text that no token crosses.
struct text_piece {
    std::string text;
    bool raw = false;       // bytes that are not UTF-8: steps that look at characters skip it
    bool at_start = false;  // begins where the whole text begins
};

/// Cuts each piece at the matches of a pattern.
struct split_step {
    regex pattern;
    split_behavior behavior = split_behavior::isolated;
    bool invert = false;
};

/// Puts a space before a piece that has none (where asked), cuts by GPT-2's pattern (where given),
/// and spells the bytes in gpt2_alphabet.
struct byte_level_step {
    bool add_prefix_space = false;
    std::optional<regex> pattern;
};

/// Cuts runs of digits into groups of three; see digit_grouping.
struct digit_step {
    digit_grouping how = digit_grouping::inside;
};

enum class prepend_scheme { always, first, never };

/// Writes spaces as `mark` (U+2581, "▁"), puts one before a piece, and cuts before each mark.
struct metaspace_step {
    std::string mark;
    prepend_scheme scheme = prepend_scheme::always;
    split_step cut;
    bool split = true;
};

namespace detail {

inline void apply(const split_step& step, text_piece piece, match_budget& budget,
                  std::vector<text_piece>& out) {
    if (piece.raw) {
        out.push_back(std::move(piece));
        return;
    }
    for (const auto& [begin, end] :
         split_text(step.pattern, step.behavior, step.invert, piece.text, budget)) {
        out.push_back({piece.text.substr(begin, end - begin), false, piece.at_start && begin == 0});
    }
}

inline void apply(const byte_level_step& step, text_piece piece, match_budget& budget,
                  std::vector<text_piece>& out) {
    if (!piece.raw && step.add_prefix_space && !piece.text.starts_with(' ')) {
        piece.text.insert(0, 1, ' ');
    }
    if (piece.raw || !step.pattern) {
        out.push_back({to_byte_alphabet(piece.text), false, piece.at_start});
        return;
    }
    const std::string_view text = piece.text;
    for (const auto& [begin, end] :
         split_text(*step.pattern, split_behavior::isolated, false, text, budget)) {
        out.push_back({to_byte_alphabet(text.substr(begin, end - begin)), false,
                       piece.at_start && begin == 0});
    }
}

inline void apply(const digit_step& step, text_piece piece, match_budget&,
                  std::vector<text_piece>& out) {
    if (piece.raw) {
        out.push_back(std::move(piece));
        return;
    }
    std::vector<std::size_t> ends = digit_cuts(step.how, piece.text);
    ends.push_back(piece.text.size());
    std::size_t begin = 0;
    for (const std::size_t end : ends) {
        if (end > begin) {
            out.push_back(
                {piece.text.substr(begin, end - begin), false, piece.at_start && begin == 0});
            begin = end;
        }
    }
}

inline void apply(const metaspace_step& step, text_piece piece, match_budget& budget,
                  std::vector<text_piece>& out) {
    if (piece.raw) {
        out.push_back(std::move(piece));
        return;
    }
    std::string marked;
    for (const char c : piece.text) {
        if (c == ' ') {
            marked += step.mark;
        } else {
            marked += c;
        }
    }
    const bool asks = step.scheme == prepend_scheme::always ||
                      (step.scheme == prepend_scheme::first && piece.at_start);
    if (asks && !marked.starts_with(step.mark)) { marked.insert(0, step.mark); }
    piece.text = std::move(marked);
    if (step.split) {
        apply(step.cut, std::move(piece), budget, out);
    } else {
        out.push_back(std::move(piece));
    }
}

}  // namespace detail

/// Cuts text into the pieces within which tokens are merged: steps in order, each fed with the
/// pieces of the one before. No step: the text is one piece.
class pre_tokenizer {
public:
    using step = std::variant<split_step, byte_level_step, metaspace_step, digit_step>;

    pre_tokenizer() = default;
    explicit pre_tokenizer(std::vector<step> steps) : m_steps(std::move(steps)) {}

    [[nodiscard]] const std::vector<step>& steps() const { return m_steps; }

    /// Throws where the patterns need more than what is left of the text's budget.
    [[nodiscard]] std::vector<text_piece> operator()(text_piece whole, match_budget& budget) const {
        std::vector<text_piece> pieces;
        pieces.push_back(std::move(whole));
        for (const step& s : m_steps) {
            std::vector<text_piece> next;
            for (text_piece& piece : pieces) {
                std::visit(
                    [&](const auto& one) { detail::apply(one, std::move(piece), budget, next); },
                    s);
            }
            pieces = std::move(next);
        }
        return pieces;
    }
    /// With a budget of its own.
    [[nodiscard]] std::vector<text_piece> operator()(text_piece whole) const {
        match_budget budget(whole.text.size());
        return (*this)(std::move(whole), budget);
    }

private:
    std::vector<step> m_steps;
};

}  // namespace xlens
