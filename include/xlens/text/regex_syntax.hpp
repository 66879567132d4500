// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace xlens {

/// A pattern as tokenizer.json writes it (Oniguruma, Ruby syntax), in PCRE2's. The two agree on
/// most; what differs is spelt out, so that every Unicode character lands in the same class:
/// `\s` is White_Space (PCRE2's also takes U+180E), `\w` counts marks and connectors, `\h` is a
/// hexadecimal digit. Nested and intersected classes (`[a[b]]`, `[a&&b]`) have no PCRE2 form: an
/// error that begins with `where`.
inline std::string to_pcre2(std::string_view pattern, std::string_view where) {
    constexpr std::string_view word = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
    std::string out;
    bool in_class = false;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const char c = pattern[i];
        if (c == '\\' && i + 1 < pattern.size()) {
            const char escaped = pattern[++i];
            switch (escaped) {
                case 's': out += R"(\p{White_Space})"; break;
                case 'S': out += R"(\P{White_Space})"; break;
                case 'h': out += in_class ? "0-9a-fA-F" : "[0-9a-fA-F]"; break;
                case 'w': out += in_class ? std::string(word) : fmt::format("[{}]", word); break;
                case 'W':
                    if (in_class) {
                        fail("{}: \\W inside [] is not supported in pattern {}", where,
                             printable(pattern));
                    }
                    out += fmt::format("[^{}]", word);
                    break;
                default: out.append({'\\', escaped});
            }
            continue;
        }
        const std::string_view pair = pattern.substr(i, 2);
        if (in_class && ((c == '[' && pair != "[:") || pair == "&&")) {
            fail("{}: nested or intersected [] is not supported in pattern {}", where,
                 printable(pattern));
        }
        out += c;
        if (in_class && c == '[') {  // [:name:] is copied whole
            const std::size_t end = pattern.find(":]", i);
            const std::size_t stop = end == std::string_view::npos ? pattern.size() : end + 2;
            out += pattern.substr(i + 1, stop - i - 1);
            i = stop - 1;
        } else if (c == '[') {
            in_class = true;
            if (pattern.substr(i + 1, 1) == "^") { out += pattern[++i]; }
            if (pattern.substr(i + 1, 1) == "]") { out += pattern[++i]; }  // a literal ]
        } else if (c == ']') {
            in_class = false;
        }
    }
    return out;
}

/// `text` as a pattern that matches exactly it.
inline std::string escape_pattern(std::string_view text) {
    constexpr std::string_view meta = R"(\^$.|?*+()[]{}-#&~)";
    std::string out;
    for (const char c : text) {
        if (meta.find(c) != std::string_view::npos) { out += '\\'; }
        out += c;
    }
    return out;
}

}  // namespace xlens
