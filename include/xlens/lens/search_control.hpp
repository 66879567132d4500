// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/kernels/dot.hpp>
#include <xlens/lens/random_vectors.hpp>
#include <xlens/lens/search.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

namespace xlens {

/// What a search finds among random vectors: how high the best score by chance.
class random_scores {
public:
    /// The ranks (concept_search::rank) of their scores, in any order.
    explicit random_scores(std::vector<float> ranks) : m_ranks(std::move(ranks)) {
        std::erase_if(m_ranks, [](float x) { return std::isnan(x); });
        std::ranges::sort(m_ranks, std::greater<>());
    }

    [[nodiscard]] std::size_t count() const { return m_ranks.size(); }
    /// The highest rank; throws xlens::error if there are none.
    [[nodiscard]] float best() const {
        if (m_ranks.empty()) { fail("control: expected at least 1 random vector, got 0"); }
        return m_ranks.front();
    }
    /// The share of the random vectors that rank as high or higher.
    [[nodiscard]] double share(float rank) const {
        const auto below = std::ranges::find_if(m_ranks, [rank](float x) { return x < rank; });
        return static_cast<double>(below - m_ranks.begin()) / static_cast<double>(count());
    }

private:
    std::vector<float> m_ranks;  // best first
};

/// Scores `per_layer` Gaussian vectors a layer, with the mean and the variance of the layer's own
/// vectors, coordinate by coordinate, as concept_search::scores does: the baseline of Geva et al.
/// 2022, section 4. Cost L·per_layer·D normal numbers (and D² multiply-adds each with
/// score_scale::spread), and one decoding of the weights.
template <class Model>
random_scores score_random_vectors(const concept_search<Model>& search,
                                   std::span<const float> direction, const search_options& options,
                                   std::size_t per_layer, std::uint64_t seed) {
    constexpr std::size_t batch_vectors = 1024;
    std::vector<float> ranks;
    std::vector<float> scale(batch_vectors);
    for (std::size_t l = 0; l < search.model().blocks.size() && per_layer > 0; ++l) {
        const xt::xtensor<float, 2> real = search.layer(l, options).decoded();
        const random_vectors random(vector_moments(real), seed, std::uint64_t{l} * per_layer);
        for (std::size_t first = 0; first < per_layer; first += batch_vectors) {
            const std::size_t count = std::min(batch_vectors, per_layer - first);
            const xt::xtensor<float, 2> some = random.some(first, count);
            const rows<const float> vectors = some;
            search.scales_of(vectors, options, std::span(scale).first(count));
            for (std::size_t n = 0; n < count; ++n) {
                const float score = kernels::dot(direction, vectors[n]) / scale[n];
                ranks.push_back(concept_search<Model>::rank(score, options.end));
            }
        }
    }
    return random_scores(std::move(ranks));
}

}  // namespace xlens
