// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace xlens {

/// U+2581 ("▁"), which SentencePiece writes for a space.
inline constexpr std::string_view space_mark = "\xE2\x96\x81";

/// `text` with every mark written as the space that it stands for.
inline std::string unmark_spaces(std::string_view text, std::string_view mark = space_mark) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        if (text.substr(at).starts_with(mark)) {
            out += ' ';
            at += mark.size();
        } else {
            out += text[at++];
        }
    }
    return out;
}

}  // namespace xlens
