// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/concepts/second_moments.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/lens/unembedding_rows.hpp>
#include <xlens/nn/unembedding.hpp>
#include <xlens/storage/any_matrix.hpp>

#include <cstddef>
#include <span>

namespace xlens {

/// Mean ē and covariance C of the unembedding's rows e_w: what the scores E·v of a vector do over
/// the vocabulary without computing one. Cost of making them: V·D² multiply-adds.
class token_moments : public second_moments {
public:
    explicit token_moments(const unembedding<any_matrix>& e);

    /// The same moments of γ⊙e_w.
    [[nodiscard]] token_moments times(std::span<const float> gain) const {
        token_moments out = *this;
        out.multiply(gain);
        return out;
    }

private:
    static constexpr std::size_t tile_rows = 1024;
};

#if XLENS_DEFINES(concepts)

XLENS_API token_moments::token_moments(const unembedding<any_matrix>& e)
    : second_moments(e.vocabulary(), mean_unembedding(e),
                     [&](auto visit) { for_each_tile(e, tile_rows, visit); }) {}

#endif

}  // namespace xlens
