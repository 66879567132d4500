// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/concepts/value_moments.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <span>
#include <vector>

#if XLENS_DEFINES(concepts)
#include <xlens/concepts/scan_scores.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/token.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/add.hpp>
#include <xlens/kernels/finite.hpp>
#include <xlens/kernels/top_k.hpp>
#include <xlens/lens/unembedding_rows.hpp>

#include <algorithm>
#endif

namespace xlens {

/// The projection `standard`: how unusual a score is for its token. With g_w = γ⊙e_w, and μ and C
/// the mean and covariance of all L·F value vectors v of the model (value_moments), which say how a
/// token scores on them, a vector's score of token w is
///     (⟨g_w, v⟩ - ⟨g_w, μ⟩) / √(g_wᵀ C g_w)
/// Tokens that every vector scores high, since their rows are long, stand out no more. A token
/// whose row all value vectors score alike (e_w = 0) scores 0. Linear in v - μ. Borrows the model.
/// Made by a pass over the value matrices and (L·F + V)·D² multiply-adds.
class standard_scores {
public:
    explicit standard_scores(const transformer<>& model);
    /// Refused: it borrows the model. Keep the model in a variable that outlives it.
    explicit standard_scores(const transformer<>&& model) = delete;

    [[nodiscard]] const value_moments& moments() const { return m_moments; }
    /// (V): 1/√(g_wᵀ C g_w), or 0 where that is none.
    [[nodiscard]] std::span<const float> factors() const { return m_factors; }

    /// The k tokens that score highest and lowest, for each vector (N, D); no more than V. Throws
    /// xlens::error for a vector of another width or with what is no number. N·V·D multiply-adds.
    [[nodiscard]] std::vector<token_ends> project(rows<const float> vectors, std::size_t k) const;

    /// out = g_w/√(g_wᵀ C g_w) (D): ⟨out, v - μ⟩ is token w's score.
    void direction(token_id token, std::span<float> out) const;

private:
    static constexpr std::size_t batch_rows = 2048;  // bounds the memory of scores

    void project_some(rows<const float> vectors, std::size_t k, std::span<token_ends> out) const;
    void fold(std::span<float> row) const;

    const transformer<>* m_model;
    logit_lens m_lens;
    value_moments m_moments;
    std::vector<float> m_factors;
};

#if XLENS_DEFINES(concepts)

XLENS_API standard_scores::standard_scores(const transformer<>& model)
    : m_model(&model), m_lens(model), m_moments(model) {
    constexpr std::size_t tile_rows = 512;
    for_each_tile(model.unembedding, tile_rows, [&](rows<float> tile) {
        for (std::size_t r = 0; r < tile.count(); ++r) { fold(tile[r]); }
        std::vector<float> deviations(tile.count());
        m_moments.deviations(tile, deviations);
        for (const float d : deviations) { m_factors.push_back(d > 0.0F ? 1.0F / d : 0.0F); }
    });
}

XLENS_API void standard_scores::fold(std::span<float> row) const {
    const std::span<const float> gain = m_lens.gain();
    for (std::size_t d = 0; d < gain.size(); ++d) { row[d] *= gain[d]; }
}

XLENS_API std::vector<token_ends> standard_scores::project(rows<const float> vectors,
                                                           std::size_t k) const {
    const std::size_t width = m_model->config.width;
    if (vectors.width() != width) {
        fail("standard scores: vectors of {} numbers, the model's width is {}", vectors.width(),
             width);
    }
    std::vector<token_ends> out(vectors.count());
    for (std::size_t n = 0; n < vectors.count(); n += batch_rows) {
        const std::size_t count = std::min(batch_rows, vectors.count() - n);
        project_some(vectors.subrows(n, count), k, std::span(out).subspan(n, count));
    }
    return out;
}

XLENS_API void standard_scores::project_some(rows<const float> vectors, std::size_t k,
                                             std::span<token_ends> out) const {
    xt::xtensor<float, 2> centred = vectors.tensor();
    for (std::size_t n = 0; n < vectors.count(); ++n) {
        const std::span<float> row = rows<float>(centred)[n];
        const std::size_t bad = kernels::first_not_finite(row);
        if (bad < row.size()) {
            fail("standard scores: number {} of vector {} is {}, expected a finite number", bad, n,
                 row[bad]);
        }
        kernels::add_scaled(-1.0F, m_moments.mean(), row);
    }
    std::vector<top_k> high(vectors.count(), top_k(k));
    std::vector<top_k> low(vectors.count(), top_k(k));
    scan_scores(
        m_model->unembedding, centred,
        [&](std::size_t first, rows<float> tile) {
            for (std::size_t r = 0; r < tile.count(); ++r) {
                fold(tile[r]);
                for (float& x : tile[r]) { x *= m_factors[first + r]; }
            }
        },
        [&](std::size_t first, rows<const float> scores) {
            parallel_for(scores.count(), 4 * scores.width(), [&](std::size_t n) {
                offer_ends(high[n], low[n], static_cast<token_id>(first), scores[n]);
            });
        });
    for (std::size_t n = 0; n < out.size(); ++n) {
        out[n] = {high[n].sorted(), low[n].sorted()};
        for (scored& s : out[n].suppresses) { s.score = -s.score; }
    }
}

XLENS_API void standard_scores::direction(token_id token, std::span<float> out) const {
    check_token(token, m_model->config.vocabulary, "standard scores");
    m_lens.direction(token, out);
    for (float& x : out) { x *= m_factors[static_cast<std::size_t>(token)]; }
}

#endif

}  // namespace xlens
