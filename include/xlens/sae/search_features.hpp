// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/concepts/search_neurons.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/core/types.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/sae/sparse_autoencoder.hpp>

#include <cstddef>
#include <span>

#if XLENS_DEFINES(sae)
#include <xlens/concepts/search.hpp>

#include <utility>
#endif

namespace xlens {

/// The features that a search found, each by its number.
struct feature_report : found_vectors<std::size_t> {};

/// The features of an autoencoder whose directions d_i promote some tokens most: scored, ranked and
/// compared with random vectors (of the mean and the variance of the directions, as many as there
/// are unless `control` says otherwise) as search_neurons does it with value vectors, and by the
/// same options but for an index and projection::standard, which are of value vectors. Throws
/// xlens::error for these, for what search_neurons refuses, and for an autoencoder that does not
/// fit the model. Cost F·D, and F·D² with score_scale::spread.
XLENS_API feature_report search_features(const transformer<>& model, const sparse_autoencoder& sae,
                                         std::span<const token_id> tokens,
                                         const search_neurons_options& options = {});
/// Those whose directions are most like the value vector of a neuron.
XLENS_API feature_report search_features(const transformer<>& model, const sparse_autoencoder& sae,
                                         const neuron& like,
                                         const search_neurons_options& options = {});

/// The features whose directions have the highest kurtosis (concepts/score_kurtosis.hpp), whatever
/// they are about. Cost F·V·D.
XLENS_API feature_report most_kurtotic_features(const transformer<>& model,
                                                const sparse_autoencoder& sae,
                                                const search_neurons_options& options = {});

#if XLENS_DEFINES(sae)

namespace detail {

inline concept_search search_of_features(const transformer<>& model,
                                         const sparse_autoencoder& sae) {
    sae.check(model.sizes());
    return {model, layer_vectors(sae.directions().transpose(), {})};
}

inline feature_report report_of_features(search_report found) {
    feature_report out;
    for (search_report::hit& hit : found.hits) {
        out.hits.push_back({hit.where.index, hit.score, hit.norm, hit.random_share,
                            std::move(hit.ends), hit.kurtosis});
    }
    out.random_vectors = found.random_vectors;
    out.random_best = found.random_best;
    return out;
}

}  // namespace detail

XLENS_API feature_report search_features(const transformer<>& model, const sparse_autoencoder& sae,
                                         std::span<const token_id> tokens,
                                         const search_neurons_options& options) {
    const concept_search search = detail::search_of_features(model, sae);
    return detail::report_of_features(search_neurons(search, tokens, options));
}

XLENS_API feature_report search_features(const transformer<>& model, const sparse_autoencoder& sae,
                                         const neuron& like,
                                         const search_neurons_options& options) {
    const concept_search search = detail::search_of_features(model, sae);
    return detail::report_of_features(search_neurons(search, like, options));
}

XLENS_API feature_report most_kurtotic_features(const transformer<>& model,
                                                const sparse_autoencoder& sae,
                                                const search_neurons_options& options) {
    const concept_search search = detail::search_of_features(model, sae);
    return detail::report_of_features(most_kurtotic_neurons(search, options));
}

#endif

}  // namespace xlens
