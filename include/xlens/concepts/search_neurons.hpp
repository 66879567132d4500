// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/concepts/concept_index.hpp>
#include <xlens/concepts/search.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/model/transformer.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(concepts)
#include <xlens/concepts/random_scores.hpp>
#include <xlens/concepts/score_kurtosis.hpp>
#include <xlens/concepts/search_control.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/top_k.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <limits>
#include <utility>
#endif

namespace xlens {

/// What the hits of a search are in the order of.
enum class search_rank {
    score,     ///< for the tokens, or the likeness
    kurtosis,  ///< of their folded scores (concepts/score_kurtosis.hpp): what is about one thing
};
XLENS_API search_rank parse_rank(std::string_view name);

struct search_neurons_options {
    search_options search = {};  ///< the side, the scores and how many neurons
    search_rank rank = search_rank::score;
    std::size_t among = 1000;                 ///< by kurtosis: of so many with the best scores
    std::size_t top = 10;                     ///< tokens of each end of a neuron (at most V)
    const concept_index* index = nullptr;     ///< they are read from it, else computed
    std::optional<std::size_t> control = {};  ///< random vectors a layer; none: F; 0: no control
    std::uint64_t seed = 0;                   ///< of the random vectors
    progress_function progress = {};          ///< counts layers of the control
};

/// What a search found. `Where`: a neuron, or the number of a feature (sae/search_features.hpp).
template <class Where>
struct found_vectors {
    struct hit {
        Where where = {};
        float score = 0.0F;                  ///< no number where nothing was searched for
        float norm = 0.0F;                   ///< of the vector that was found
        std::optional<double> random_share;  ///< of the random vectors: those that score as high
        token_ends ends;
        float kurtosis = 0.0F;  ///< of its folded scores (concepts/score_kurtosis.hpp)
    };
    std::vector<hit> hits;           ///< best first
    std::size_t random_vectors = 0;  ///< of the control; 0 without one
    float random_best = 0.0F;        ///< the highest score of these
};
struct search_report : found_vectors<neuron> {};

/// The neurons that promote some tokens most, in all layers (concept_search), each with its concept
/// and with the share of random vectors that score as high by chance (search_control.hpp): what
/// `xlens search` shows. Throws xlens::error for no token, one that the model does not have, a side
/// that its layers do not have, projection::normed, and an index of another model, side or
/// projection.
XLENS_API search_report search_neurons(const transformer<>& model, std::span<const token_id> tokens,
                                       const search_neurons_options& options = {});
/// The neurons whose vectors are most like the value vector of this one.
XLENS_API search_report search_neurons(const transformer<>& model, const neuron& like,
                                       const search_neurons_options& options = {});

/// The same of a concept_search, which keeps its moments for the next one, or searches others'
/// vectors (where.layer is 0 then, where.index counts them).
XLENS_API search_report search_neurons(const concept_search& search,
                                       std::span<const token_id> tokens,
                                       const search_neurons_options& options = {});
XLENS_API search_report search_neurons(const concept_search& search, const neuron& like,
                                       const search_neurons_options& options = {});

/// The neurons of a whole model whose vectors have the highest kurtosis, whatever they are about:
/// of `options` the side, the projection (of their concepts), the limit, `top` and the index, whose
/// kurtosis is read where it has one; else L·F·V·D multiply-adds. `progress` counts layers.
XLENS_API search_report most_kurtotic_neurons(const transformer<>& model,
                                              const search_neurons_options& options = {});
XLENS_API search_report most_kurtotic_neurons(const concept_search& search,
                                              const search_neurons_options& options = {});

#if XLENS_DEFINES(concepts)

XLENS_API search_rank parse_rank(std::string_view name) {
    if (name == "score") { return search_rank::score; }
    if (name == "kurtosis") { return search_rank::kurtosis; }
    fail("rank: expected score or kurtosis, got '{}'", printable(name));
}

namespace detail {

/// Throws xlens::error for an index that does not hold what is searched.
inline void check_search_index(const concept_search& search,
                               const search_neurons_options& options) {
    if (options.index == nullptr) { return; }
    if (!search.of_neurons()) { fail("index: holds value vectors, other vectors are searched"); }
    if (options.search.side != neuron_side::value) {
        fail("index: holds value vectors, expected the side value, got {}",
             name_of(options.search.side));
    }
    options.index->check(search.model().config, options.search.form);
}

/// The vectors of some hits (N, D).
inline xt::xtensor<float, 2> vectors_of_hits(const concept_search& search,
                                             std::span<const search_hit> hits,
                                             const search_options& options) {
    xt::xtensor<float, 2> out = xt::empty<float>({hits.size(), search.model().config.width});
    for (std::size_t i = 0; i < hits.size(); ++i) {
        search.layer(hits[i].where.layer, options).column(hits[i].where.index, rows<float>(out)[i]);
    }
    return out;
}

/// The hits of highest kurtosis, that first; of equals the one with the better score. No number is
/// none of them.
inline std::vector<search_hit> by_kurtosis(std::span<const search_hit> hits,
                                           std::span<const float> kurtosis, std::size_t limit) {
    top_ids<std::size_t> best(limit);
    for (std::size_t i = 0; i < hits.size(); ++i) { best.offer(i, kurtosis[i]); }
    std::vector<search_hit> out;
    for (const auto& [i, _] : best.sorted()) { out.push_back(hits[i]); }
    return out;
}

/// What a search finds, in the order that is asked for.
template <class Like>
std::vector<search_hit> ranked_hits(const concept_search& search, const Like& like,
                                    const search_neurons_options& options) {
    if (options.rank == search_rank::score) { return search.find(like, options.search); }
    search_options all = options.search;
    all.limit = std::max(options.among, all.limit);
    const std::vector<search_hit> hits = search.find(like, all);
    const xt::xtensor<float, 2> vectors = vectors_of_hits(search, hits, all);
    return by_kurtosis(hits, score_kurtosis(search.model(), vectors), options.search.limit);
}

/// The hits of a search with their norms and tokens, not yet compared with anything.
inline std::vector<search_report::hit> describe_hits(const concept_search& search,
                                                     std::span<const search_hit> hits,
                                                     const search_neurons_options& options) {
    const std::size_t top = std::min(options.top, search.model().config.vocabulary);
    std::vector<token_ends> concepts;
    if (options.index != nullptr) {
        for (const search_hit& hit : hits) {
            concepts.push_back(options.index->ends(hit.where, top));
        }
    } else {
        concepts = search.concepts(hits, top, options.search);
    }
    std::vector<search_report::hit> out;
    const xt::xtensor<float, 2> vectors = vectors_of_hits(search, hits, options.search);
    const std::vector<float> kurtosis = score_kurtosis(search.model(), vectors);
    for (std::size_t i = 0; i < hits.size(); ++i) {
        out.push_back({hits[i].where, hits[i].score, kernels::norm2(rows<const float>(vectors)[i]),
                       std::nullopt, std::move(concepts[i]), kurtosis[i]});
    }
    return out;
}

/// `like`: tokens (std::span<const token_id>) or a neuron.
template <class Like>
search_report report_search(const concept_search& search, const Like& like,
                            const search_neurons_options& options) {
    check_search_index(search, options);
    const std::vector<search_hit> hits = ranked_hits(search, like, options);
    search_report out;
    out.hits = describe_hits(search, hits, options);
    const std::size_t per_layer = options.control.value_or(search.vectors());
    if (per_layer == 0) { return out; }
    const random_scores random =
        score_random_vectors(search, search.direction(like, options.search), options.search,
                             per_layer, options.seed, options.progress);
    out.random_vectors = random.count();
    out.random_best = random.best();
    for (search_report::hit& hit : out.hits) {
        hit.random_share = random.share(concept_search::rank(hit.score, options.search.end));
    }
    return out;
}

}  // namespace detail

XLENS_API search_report search_neurons(const concept_search& search,
                                       std::span<const token_id> tokens,
                                       const search_neurons_options& options) {
    return detail::report_search(search, tokens, options);
}
XLENS_API search_report search_neurons(const concept_search& search, const neuron& like,
                                       const search_neurons_options& options) {
    return detail::report_search(search, like, options);
}
XLENS_API search_report search_neurons(const transformer<>& model, std::span<const token_id> tokens,
                                       const search_neurons_options& options) {
    return search_neurons(concept_search(model), tokens, options);
}
XLENS_API search_report search_neurons(const transformer<>& model, const neuron& like,
                                       const search_neurons_options& options) {
    return search_neurons(concept_search(model), like, options);
}

XLENS_API search_report most_kurtotic_neurons(const concept_search& search,
                                              const search_neurons_options& options) {
    detail::check_search_index(search, options);
    std::vector<float> kurtosis;
    const bool known = options.index != nullptr && !options.index->kurtosis().empty();
    if (known) {
        const std::span<const float> read = options.index->kurtosis();
        kurtosis.assign(read.begin(), read.end());
    }
    std::vector<search_hit> all;
    for (std::size_t l = 0; l < search.layers(); ++l) {
        for (std::size_t i = 0; i < search.vectors(); ++i) {
            all.push_back({{l, i}, std::numeric_limits<float>::quiet_NaN()});
        }
        if (known) { continue; }
        const xt::xtensor<float, 2> vectors = search.layer(l, options.search).columns();
        const std::vector<float> some = score_kurtosis(search.model(), vectors);
        kurtosis.insert(kurtosis.end(), some.begin(), some.end());
        options.progress(l + 1, search.layers());
    }
    search_report out;
    out.hits = detail::describe_hits(
        search, detail::by_kurtosis(all, kurtosis, options.search.limit), options);
    return out;
}
XLENS_API search_report most_kurtotic_neurons(const transformer<>& model,
                                              const search_neurons_options& options) {
    return most_kurtotic_neurons(concept_search(model), options);
}

#endif

}  // namespace xlens
