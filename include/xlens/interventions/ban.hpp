// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/token.hpp>
#include <xlens/core/types.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>

#include <algorithm>
#endif

namespace xlens {

/// Policy that keeps token sequences from being predicted: where the text ends with all of a
/// sequence but its last token, the logit of that token becomes -inf. The WordFilter baseline of
/// Geva et al. 2022, section 6.1. Needs the tokens of the site, which a forward pass gives.
class ban {
public:
    static constexpr hook hooks = hook::logits;
    static constexpr bool rowwise = true;

    /// Throws xlens::error for an empty sequence.
    explicit ban(std::vector<std::vector<token_id>> sequences);
    /// Throws xlens::error if a sequence has a token that is not in the vocabulary.
    void check(const model_sizes& model) const;

    void logits(const site& where, rows<float> z);

private:
    static bool ends_with_start_of(std::span<const token_id> text, std::span<const token_id> s);

    std::vector<std::vector<token_id>> m_sequences;
};

#if XLENS_DEFINES(interventions)

XLENS_API ban::ban(std::vector<std::vector<token_id>> sequences)
    : m_sequences(std::move(sequences)) {
    for (const auto& s : m_sequences) {
        if (s.empty()) { fail("ban: expected at least 1 token in a sequence, got 0"); }
    }
}

XLENS_API void ban::check(const model_sizes& model) const {
    for (const auto& s : m_sequences) {
        for (const token_id id : s) { check_token(id, model.vocabulary, "ban"); }
    }
}

XLENS_API void ban::logits(const site& where, rows<float> z) {
    for (std::size_t t = 0; t < z.count(); ++t) {
        const std::size_t read = std::min(where.tokens.size(), where.first_position + t + 1);
        const auto text = where.tokens.first(read);
        for (const auto& s : m_sequences) {
            const auto last = static_cast<std::size_t>(s.back());
            if (last < z.width() && ends_with_start_of(text, s)) {
                z[t][last] = -std::numeric_limits<float>::infinity();
            }
        }
    }
}

XLENS_API bool ban::ends_with_start_of(std::span<const token_id> text,
                                       std::span<const token_id> s) {
    const auto start = s.first(s.size() - 1);
    return start.size() <= text.size() && std::ranges::equal(text.last(start.size()), start);
}

#endif

}  // namespace xlens
