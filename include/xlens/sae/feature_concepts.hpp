// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/sae/sparse_autoencoder.hpp>

#include <cstddef>
#include <span>
#include <vector>

#if XLENS_DEFINES(sae)
#include <xlens/core/xtensor.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/storage/rows.hpp>
#endif

namespace xlens {

/// The concepts of features: the `top` tokens that each direction promotes and suppresses most, as
/// those of value vectors (folded projection). Throws xlens::error for an autoencoder that does not
/// fit the model and a feature that it does not have.
XLENS_API std::vector<token_ends> feature_concepts(const transformer<>& model,
                                                   const sparse_autoencoder& sae,
                                                   std::span<const std::size_t> features,
                                                   std::size_t top);

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

#endif

}  // namespace xlens
