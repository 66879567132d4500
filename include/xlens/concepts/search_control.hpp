// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/concepts/random_scores.hpp>
#include <xlens/concepts/search.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(concepts)
#include <xlens/concepts/random_vectors.hpp>
#include <xlens/kernels/dot.hpp>

#include <algorithm>
#endif

namespace xlens {

/// Scores `per_layer` Gaussian vectors a layer, with the mean and the variance of the layer's own
/// vectors, coordinate by coordinate, as concept_search::scores does: the baseline of Geva et al.
/// 2022, section 4. Cost L·per_layer·D normal numbers (and D² multiply-adds each with
/// score_scale::spread), and one decoding of the weights. `progress(done, total)` counts layers.
XLENS_API random_scores score_random_vectors(const concept_search& search,
                                             std::span<const float> direction,
                                             const search_options& options, std::size_t per_layer,
                                             std::uint64_t seed, const progress_function& progress);

#if XLENS_DEFINES(concepts)

XLENS_API random_scores score_random_vectors(const concept_search& search,
                                             std::span<const float> direction,
                                             const search_options& options, std::size_t per_layer,
                                             std::uint64_t seed,
                                             const progress_function& progress) {
    constexpr std::size_t batch_vectors = 1024;
    std::vector<float> ranks;
    std::vector<float> scale(batch_vectors);
    const float offset = search.offset(direction, options);
    const std::size_t layers = per_layer > 0 ? search.layers() : 0;
    for (std::size_t l = 0; l < layers; ++l) {
        const xt::xtensor<float, 2> real = search.layer(l, options).columns();
        const random_vectors random(vector_moments(real), seed, l * per_layer);
        for (std::size_t first = 0; first < per_layer; first += batch_vectors) {
            const std::size_t count = std::min(batch_vectors, per_layer - first);
            const xt::xtensor<float, 2> some = random.some(first, count);
            const rows<const float> vectors = some;
            search.scales_of(vectors, options, std::span(scale).first(count));
            for (std::size_t n = 0; n < count; ++n) {
                const float score = kernels::dot(direction, vectors[n]) / scale[n] - offset;
                ranks.push_back(concept_search::rank(score, options.end));
            }
        }
        progress(l + 1, layers);
    }
    return random_scores(std::move(ranks));
}

#endif

}  // namespace xlens
