// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/text/regex.hpp>
#include <xlens/text/utf8.hpp>

#include <utf8proc.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
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

namespace detail {

inline std::string normalize(const normal_form& form, std::string text) {
    const bool ascii = std::ranges::all_of(text, [](char c) { return (c & 0x80) == 0; });
    if (ascii) { return text; }  // ASCII is its own normal form
    int options = UTF8PROC_STABLE | (form.composed ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE);
    if (form.compatibility) { options |= UTF8PROC_COMPAT; }
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

inline std::string normalize(const replace_all& step, std::string text) {
    std::string out;
    std::size_t done = 0;
    step.pattern.for_each_match(text, [&](std::size_t begin, std::size_t end) {
        out.append(text, done, begin - done);
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
    using step = std::variant<normal_form, lower_case, prepend, replace_all>;

    normalizer() = default;
    explicit normalizer(std::vector<step> steps) : m_steps(std::move(steps)) {}

    [[nodiscard]] bool empty() const { return m_steps.empty(); }

    /// The normal form of `text`. `begins_section` is false for text that follows invalid bytes
    /// within one section: a prepended mark belongs to the section's start only.
    [[nodiscard]] std::string operator()(std::string text, bool begins_section = true) const {
        for (const step& s : m_steps) {
            if (std::holds_alternative<prepend>(s) && !begins_section) { continue; }
            text = std::visit(
                [&](const auto& one) { return detail::normalize(one, std::move(text)); }, s);
        }
        return text;
    }

private:
    std::vector<step> m_steps;
};

}  // namespace xlens
