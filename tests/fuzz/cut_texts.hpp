// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/tokenizer.hpp>

#include <cstddef>
#include <cstdlib>

namespace xlens::test {

/// Cuts some texts and spells them again; aborts at an id that is no token.
inline void cut_texts(const tokenizer& text) {
    for (const char* words : {"", "a b", "ab\nba  \u2581a\xFF"}) {
        const auto ids = text.encode_prompt(words);
        for (const auto id : ids) {
            if (static_cast<std::size_t>(id) >= text.size()) { std::abort(); }
        }
        static_cast<void>(text.decode(ids));
    }
}

}  // namespace xlens::test
