// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/sae/sparse_autoencoder.hpp>

#include <cstddef>
#include <span>
#include <vector>

#if XLENS_DEFINES(sae)
#include <xlens/concepts/search.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/top_k.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/storage/rows.hpp>
#endif

namespace xlens {

/// The concepts of features: the `top` tokens that each direction promotes and suppresses most, as
/// those of value vectors (folded projection).
XLENS_API std::vector<token_ends> feature_concepts(const transformer<>& model,
                                                   const sparse_autoencoder& sae,
                                                   std::span<const std::size_t> features,
                                                   std::size_t top);

/// A feature that a search found: its score ⟨q, d_i⟩.
struct feature_hit {
    std::size_t feature = 0;
    float score = 0.0F;
};

/// The features whose directions score these tokens highest (or, with `suppresses`, lowest): by the
/// mean of their folded projections, as concept_search does for value vectors. Throws xlens::error
/// for no token, and for an autoencoder that does not fit the model.
XLENS_API std::vector<feature_hit> find_features(const transformer<>& model,
                                                 const sparse_autoencoder& sae,
                                                 std::span<const token_id> tokens,
                                                 std::size_t limit, bool suppresses = false);

#if XLENS_DEFINES(sae)

XLENS_API std::vector<token_ends> feature_concepts(const transformer<>& model,
                                                   const sparse_autoencoder& sae,
                                                   std::span<const std::size_t> features,
                                                   std::size_t top) {
    sae.check(model.sizes());
    xt::xtensor<float, 2> vectors = xt::empty<float>({features.size(), sae.width()});
    for (std::size_t i = 0; i < features.size(); ++i) {
        sae.direction(features[i], rows<float>(vectors)[i]);
    }
    return logit_lens(model).project(vectors, top);
}

XLENS_API std::vector<feature_hit> find_features(const transformer<>& model,
                                                 const sparse_autoencoder& sae,
                                                 std::span<const token_id> tokens,
                                                 std::size_t limit, bool suppresses) {
    sae.check(model.sizes());
    const std::vector<float> q = concept_search(model).direction(tokens, {});
    std::vector<float> scores(sae.features());
    kernels::matvec(sae.directions(), q, scores);
    top_ids<std::size_t> best(limit);
    for (std::size_t i = 0; i < scores.size(); ++i) {
        best.offer(i, suppresses ? -scores[i] : scores[i]);
    }
    std::vector<feature_hit> out;
    for (const auto& [feature, rank] : best.sorted()) { out.push_back({feature, scores[feature]}); }
    return out;
}

#endif

}  // namespace xlens
