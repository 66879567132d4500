// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/model/model.hpp>

#include <span>

#if XLENS_DEFINES(compare)
#include <xlens/core/error.hpp>
#include <xlens/text/tokenizer.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#endif

namespace xlens {

/// Throws xlens::error, naming the first difference with both values, unless two models have the
/// same vocabulary: as many tokens, each spelt with the same bytes. Where one of them has no
/// tokenizer its spellings are not known, and only the sizes are looked at. O(V).
XLENS_API void check_same_vocabulary(const model& a, const model& b);

/// Throws xlens::error unless what two tokenizers made of one text are the same ids, naming the
/// first that differ.
XLENS_API void check_same_ids(const model& a, std::span<const token_id> ids_a, const model& b,
                              std::span<const token_id> ids_b);

#if XLENS_DEFINES(compare)

namespace detail {

inline std::string spelt_token(const tokenizer& of, std::size_t id) {
    return printable(of.bytes(static_cast<token_id>(id)));
}

}  // namespace detail

XLENS_API void check_same_vocabulary(const model& a, const model& b) {
    const auto same_size = [&](const char* what, std::size_t of_a, std::size_t of_b) {
        if (of_a == of_b) { return; }
        fail("{} and {}: {}: expected as many tokens in both, got {} and {}", printable(a.name()),
             printable(b.name()), what, of_a, of_b);
    };
    same_size("vocabulary", a.config.vocabulary, b.config.vocabulary);
    if (!a.has_tokenizer() || !b.has_tokenizer()) { return; }
    const tokenizer& of_a = a.tokenizer();
    const tokenizer& of_b = b.tokenizer();
    same_size("tokenizer", of_a.size(), of_b.size());
    for (std::size_t id = 0; id < of_a.size(); ++id) {
        const auto token = static_cast<token_id>(id);
        if (of_a.bytes(token) == of_b.bytes(token)) { continue; }
        fail("{} and {}: token {}: expected one spelling, got '{}' and '{}'", printable(a.name()),
             printable(b.name()), id, detail::spelt_token(of_a, id), detail::spelt_token(of_b, id));
    }
}

XLENS_API void check_same_ids(const model& a, std::span<const token_id> ids_a, const model& b,
                              std::span<const token_id> ids_b) {
    const std::size_t both = std::min(ids_a.size(), ids_b.size());
    for (std::size_t t = 0; t < both; ++t) {
        if (ids_a[t] == ids_b[t]) { continue; }
        fail("{} and {}: token {} of the text: expected one id, got {} and {}", printable(a.name()),
             printable(b.name()), t, ids_a[t], ids_b[t]);
    }
    if (ids_a.size() != ids_b.size()) {
        fail("{} and {}: the text: expected as many tokens, got {} and {}", printable(a.name()),
             printable(b.name()), ids_a.size(), ids_b.size());
    }
}

#endif

}  // namespace xlens
