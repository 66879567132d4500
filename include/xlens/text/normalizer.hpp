// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/sort_once.hpp>
#include <xlens/text/bert_text.hpp>
#include <xlens/text/charsmap.hpp>
#include <xlens/text/piece_text.hpp>
#include <xlens/text/regex.hpp>
#include <xlens/text/unicode.hpp>
#include <xlens/text/utf8.hpp>

#include <utf8proc.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace xlens {

/// One of Unicode's four normalisation forms (UAX #15).
struct normal_form {
    bool composed = true;        // NFC, NFKC
    bool compatibility = false;  // NFKC, NFKD
};
/// Every character to its full lower-case form.
struct lower_case {};
/// Puts `text` before a section, unless it is empty.
struct prepend {
    std::string text;
};
/// Replaces each match by `text`, taken literally.
struct replace_all {
    regex pattern;
    std::string text;
};

/// Drops white space at the ends.
struct strip_space {
    bool left = true;
    bool right = true;
};
/// Drops combining marks.
struct strip_accents {};
/// The cleaning that sentencepiece takes over from neural machine translation (`nmt`).
struct nmt_cleaning {};
/// BERT's steps; without accents: decomposed, and without nonspacing marks.
struct bert_cleaning {
    bool clean = true;
    bool chinese = true;
    bool accents = false;  // whether they are dropped
    bool lower = true;
};
/// A SentencePiece table as Hugging Face's tokenizers apply it: a grapheme of less than 6 bytes
/// becomes what the shortest rule for its beginning says; else each of its characters does.
struct mapped_graphemes {
    std::shared_ptr<const charsmap> map;
};

namespace detail {

/// Marks of one letter in canonical order, which changes no normal form. utf8proc orders them in
/// quadratic time.
inline std::string order_marks(const std::string& text) {
    constexpr std::size_t long_run = 32;
    std::vector<std::pair<int, std::string>> run;
    std::string out;
    const auto flush = [&] {
        if (run.size() > long_run) {
            sort_once(run, [](const auto& a, const auto& b) { return a.first < b.first; });
        }
        for (const auto& mark : run) { out += mark.second; }
        run.clear();
    };
    for (std::size_t at = 0; at < text.size();) {
        const utf8_unit unit = read_utf8(text, at);
        const auto code = static_cast<utf8proc_int32_t>(unit.value);
        const int order = utf8proc_get_property(code)->combining_class;
        if (order == 0) {
            flush();
            out.append(text, at, unit.length);
        } else {
            run.emplace_back(order, text.substr(at, unit.length));
        }
        at += unit.length;
    }
    flush();
    return out;
}

inline std::string normalize(const normal_form& form, std::string text) {
    const bool ascii = std::ranges::all_of(text, [](char c) { return (c & 0x80) == 0; });
    if (ascii) { return text; }  // ASCII is its own normal form
    int options = UTF8PROC_STABLE | (form.composed ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE);
    if (form.compatibility) { options |= UTF8PROC_COMPAT; }
    text = order_marks(text);
    utf8proc_uint8_t* raw = nullptr;
    const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                     static_cast<utf8proc_ssize_t>(text.size()), &raw,
                                     static_cast<utf8proc_option_t>(options));
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(raw, &std::free);
    if (length < 0) { fail("normalizer: {}", utf8proc_errmsg(length)); }
    return {reinterpret_cast<const char*>(raw), static_cast<std::size_t>(length)};
}

inline std::string normalize(lower_case, const std::string& text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const utf8_unit unit = read_utf8(text, at);
        if (unit.value == 0x130) {  // the one character whose lower case is two
            out += "i\xCC\x87";
        } else {
            append_utf8(out, static_cast<char32_t>(
                                 utf8proc_tolower(static_cast<utf8proc_int32_t>(unit.value))));
        }
        at += unit.length;
    }
    return out;
}

inline std::string normalize(const prepend& step, const std::string& text) {
    return text.empty() ? text : step.text + text;
}

inline std::string normalize(const strip_space& step, std::string_view text) {
    if (step.left) { text.remove_prefix(leading_white_space(text)); }
    if (step.right) { text.remove_suffix(trailing_white_space(text)); }
    return std::string(text);
}

inline std::string normalize(strip_accents, std::string_view text) {
    return without_marks(text, false);
}

inline std::string normalize(nmt_cleaning, std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const utf8_unit unit = read_utf8(text, at);
        const char32_t c = unit.value;
        at += unit.length;
        if ((c >= 0x1 && c <= 0x8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F ||
            c == 0x8F || c == 0x9F) {
            continue;
        }
        const bool space = c == 0x9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 ||
                           (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 ||
                           c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
        append_utf8(out, space ? U' ' : c);
    }
    return out;
}

inline std::string normalize(const bert_cleaning& step, std::string text) {
    if (step.clean) { text = clean_bert_text(text); }
    if (step.chinese) { text = space_bert_chinese(text); }
    if (step.accents) {
        text = without_marks(normalize(normal_form{false, false}, std::move(text)), true);
    }
    return step.lower ? normalize(lower_case{}, text) : text;
}

/// Bytes of the extended grapheme cluster that valid UTF-8 has at `at`.
inline std::size_t grapheme_at(std::string_view text, std::size_t at) {
    utf8proc_int32_t state = 0;
    utf8_unit last = read_utf8(text, at);
    std::size_t end = at + last.length;
    while (end < text.size()) {
        const utf8_unit next = read_utf8(text, end);
        if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(last.value),
                                             static_cast<utf8proc_int32_t>(next.value), &state)) {
            break;
        }
        end += next.length;
        last = next;
    }
    return end - at;
}

inline std::string normalize(const mapped_graphemes& step, std::string_view text) {
    std::string out;
    const auto map = [&](std::string_view part) {
        const auto rule = step.map->shortest(part, 0);
        if (rule) { out += rule->result; }
        return rule.has_value();
    };
    for (std::size_t at = 0; at < text.size();) {
        const std::string_view grapheme = text.substr(at, grapheme_at(text, at));
        at += grapheme.size();
        if (grapheme.size() < 6 && map(grapheme)) { continue; }
        for (std::size_t i = 0; i < grapheme.size();) {
            const std::string_view character = grapheme.substr(i, read_utf8(grapheme, i).length);
            if (!map(character)) { out += character; }
            i += character.size();
        }
    }
    return out;
}

inline std::string normalize(const replace_all& step, std::string text, match_budget& budget) {
    std::string out;
    std::size_t done = 0;
    step.pattern.for_each_match(text, budget, [&](std::size_t begin, std::size_t end) {
        out.append(text, done, begin - done);
        if (!budget.spend(step.text.size() / 16)) {
            fail("normalizer: a replacement of {} bytes makes the text too long", step.text.size());
        }
        out += step.text;
        done = end;
    });
    return out.append(text, done);
}

}  // namespace detail

/// What a tokenizer does to text before it cuts it up: steps in order, none for most byte-level
/// tokenizers. Works on valid UTF-8 only.
class normalizer {
public:
    using step =
        std::variant<normal_form, lower_case, prepend, replace_all, strip_space, strip_accents,
                     nmt_cleaning, bert_cleaning, mapped_graphemes, piece_text>;

    normalizer() = default;
    explicit normalizer(std::vector<step> steps) : m_steps(std::move(steps)) {}

    [[nodiscard]] bool empty() const { return m_steps.empty(); }

    /// The normal form of `text`. `begins_section` is false for text that follows invalid bytes
    /// within one section: a prepended mark belongs to the section's start only. Throws where the
    /// patterns need more than what is left of the text's budget, to which what they write counts.
    [[nodiscard]] std::string operator()(std::string text, match_budget& budget,
                                         bool begins_section = true) const {
        for (const step& s : m_steps) {
            if (std::holds_alternative<prepend>(s) && !begins_section) { continue; }
            text = std::visit(
                [&](const auto& one) {
                    using kind = std::decay_t<decltype(one)>;
                    if constexpr (std::is_same_v<kind, replace_all>) {
                        return detail::normalize(one, std::move(text), budget);
                    } else if constexpr (std::is_same_v<kind, piece_text>) {
                        return detail::normalize_pieces(one, text, begins_section);
                    } else {
                        return detail::normalize(one, std::move(text));
                    }
                },
                s);
        }
        return text;
    }
    /// With a budget of its own.
    [[nodiscard]] std::string operator()(std::string text, bool begins_section = true) const {
        match_budget budget(text.size());
        return (*this)(std::move(text), budget, begins_section);
    }

private:
    std::vector<step> m_steps;
};

}  // namespace xlens
