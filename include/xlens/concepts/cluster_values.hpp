// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/concepts/clusters.hpp>
#include <xlens/concepts/concept_reader.hpp>
#include <xlens/concepts/value_directions.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/numerics/complete_linkage.hpp>
#include <xlens/numerics/directions.hpp>
#include <xlens/numerics/k_means.hpp>
#include <xlens/numerics/partition.hpp>
#include <xlens/storage/rows.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(concepts)
#include <xlens/core/parallel.hpp>
#include <xlens/kernels/add.hpp>
#include <xlens/numerics/random_draws.hpp>

#include <algorithm>
#endif

namespace xlens {

struct cluster_options {
    cluster_method method = cluster_method::k_means;
    cluster_space space = cluster_space::raw;
    projection form = projection::folded;  ///< of projections, and of the centroids' concepts;
                                           ///< standard: with one pass more over the values
    std::size_t clusters = 200;
    std::uint64_t seed = 0;
    std::size_t sample = 0;   ///< value vectors drawn at random; 0: all
    std::size_t top = 10;     ///< tokens of each end of a concept
    bool shuffle = false;     ///< do it again with shuffled components, for comparison
    k_means_options k_means;  ///< rounds and tolerance; the rest comes from above
    linkage_options linkage;
};

struct cluster_report {
    clusters found;
    std::size_t without_direction = 0;        ///< value vectors left out: zero, or not finite
    std::size_t rounds = 0;                   ///< of k-means
    bool settled = true;                      ///< it ended by itself
    std::optional<cluster_quality> shuffled;  ///< of the control, if it was asked for
};

namespace detail {

XLENS_API vector_groups partition_of(const unit_directions& vectors, cluster_options options,
                                     const progress_function& progress,
                                     cluster_report* report = nullptr);

/// The number of clusters that labels have, which may be fewer than were asked for.
XLENS_API std::size_t count_of(const vector_groups& labels);

/// Centroids in the space of the value vectors: see cluster::centroid. vectors (n, D). `origin` is
/// concept_reader::origin.
XLENS_API void add_centroids(std::vector<cluster>& to, rows<const float> vectors,
                             const unit_directions& found,
                             const std::vector<std::vector<std::size_t>>& members,
                             const cluster_options& options, std::span<const float> origin);

XLENS_API void add_concepts(std::vector<cluster>& to, const concept_reader& reader,
                            std::size_t top);

/// The clusters of a partition, largest first, of equals the one with the lower first neuron.
XLENS_API std::vector<cluster> describe(const concept_reader& reader,
                                        std::span<const neuron> neurons, rows<const float> vectors,
                                        const unit_directions& found, const vector_groups& labels,
                                        const cluster_options& options);

}  // namespace detail

/// Clusters the value vectors of a model, all or a sample, by the directions that they have in a
/// cluster_space, and names each cluster by the tokens that its centroid promotes and suppresses.
/// With `shuffle` it also does the same to vectors whose components are shuffled
/// (shuffle_components): clusters mean something as far as they are closer together than those.
///
/// `fingerprint` is the model's. `progress(done, total)` begins anew with each part of the work.
/// Memory: two (n, D) matrices of floats and what the method takes (k_means.hpp,
/// complete_linkage.hpp). Throws xlens::error, before any work, for a number of clusters outside 1
/// to n and for distances over the limit.
XLENS_API cluster_report cluster_values(const transformer<>& model, std::uint64_t fingerprint,
                                        const cluster_options& options,
                                        const progress_function& progress);

#if XLENS_DEFINES(concepts)

namespace detail {

XLENS_API vector_groups partition_of(const unit_directions& vectors, cluster_options options,
                                     const progress_function& progress, cluster_report* report) {
    if (options.method == cluster_method::complete) {
        return complete_linkage(vectors.unit, options.linkage, progress).cut(options.clusters);
    }
    options.k_means.clusters = options.clusters;
    options.k_means.seed = options.seed;
    k_means_result result = k_means(vectors.unit, options.k_means, progress);
    if (report != nullptr) {
        report->rounds = result.rounds;
        report->settled = result.settled;
    }
    return std::move(result.labels);
}

XLENS_API std::size_t count_of(const vector_groups& labels) {
    return std::size_t{1} + *std::ranges::max_element(labels);
}

XLENS_API void add_centroids(std::vector<cluster>& to, rows<const float> vectors,
                             const unit_directions& found,
                             const std::vector<std::vector<std::size_t>>& members,
                             const cluster_options& options, std::span<const float> origin) {
    // A norm scales every vector by itself: undone, so that long and short ones count alike.
    const bool normed = options.form == projection::normed && options.space != cluster_space::raw;
    parallel_for(to.size(), 4 * vectors.count() * vectors.width() / to.size(), [&](std::size_t c) {
        std::vector<double> sum(vectors.width());
        for (const std::size_t i : members[c]) {
            const std::span<const float> v = vectors[found.kept[i]];
            const double scale = 1.0 / (found.lengths[i] * (normed ? length_of(v) : 1.0));
            for (std::size_t d = 0; d < v.size(); ++d) {
                sum[d] += scale * (double{v[d]} - (origin.empty() ? 0.0 : double{origin[d]}));
            }
        }
        double squares = 0.0;
        for (const double x : sum) { squares += x * x; }
        const double scale = squares > 0.0 ? 1.0 / std::sqrt(squares) : 0.0;
        to[c].centroid.resize(sum.size());
        for (std::size_t d = 0; d < sum.size(); ++d) {
            to[c].centroid[d] = static_cast<float>(scale * sum[d]);
        }
    });
}

XLENS_API void add_concepts(std::vector<cluster>& to, const concept_reader& reader,
                            std::size_t top) {
    const std::span<const float> origin = reader.origin();
    xt::xtensor<float, 2> centroids = xt::empty<float>({to.size(), to.front().centroid.size()});
    for (std::size_t c = 0; c < to.size(); ++c) {
        const std::span<float> row = rows<float>(centroids)[c];
        std::ranges::copy(to[c].centroid, row.begin());
        if (!origin.empty()) { kernels::add_scaled(1.0F, origin, row); }
    }
    std::vector<token_ends> ends = reader.project(centroids, top);
    for (std::size_t c = 0; c < to.size(); ++c) { to[c].concept_of_centroid = std::move(ends[c]); }
}

XLENS_API std::vector<cluster> describe(const concept_reader& reader,
                                        std::span<const neuron> neurons, rows<const float> vectors,
                                        const unit_directions& found, const vector_groups& labels,
                                        const cluster_options& options) {
    const std::size_t k = count_of(labels);
    const cluster_sums sums = sum_clusters(found.unit, labels, k);
    const auto members = members_of(labels, k);
    std::vector<cluster> out(k);
    for (std::size_t c = 0; c < k; ++c) {
        out[c].cohesion = sums.cohesion(c);
        for (const std::size_t i : members[c]) { out[c].neurons.push_back(neurons[found.kept[i]]); }
    }
    add_centroids(out, vectors, found, members, options, reader.origin());
    std::erase_if(out, [](const cluster& c) { return c.neurons.empty(); });
    std::ranges::sort(out, [](const cluster& a, const cluster& b) {
        return a.neurons.size() != b.neurons.size() ? a.neurons.size() > b.neurons.size()
                                                    : a.neurons.front() < b.neurons.front();
    });
    add_concepts(out, reader, options.top);
    return out;
}

}  // namespace detail

XLENS_API cluster_report cluster_values(const transformer<>& model, std::uint64_t fingerprint,
                                        const cluster_options& options,
                                        const progress_function& progress) {
    std::vector<neuron> neurons = all_neurons(model);
    if (options.sample > 0) {
        std::vector<neuron> drawn;
        for (const std::size_t i :
             random_draws(options.seed).sample(neurons.size(), options.sample)) {
            drawn.push_back(neurons[i]);
        }
        neurons = std::move(drawn);
    }
    detail::check_cluster_count(options.clusters, neurons.size());
    if (options.method == cluster_method::complete) {
        check_linkage_memory<double>(neurons.size(), options.linkage);
    }
    const value_space space(model, options.space, options.form, progress);
    xt::xtensor<float, 2> vectors = value_vectors(model, neurons, progress);
    const clusters_origin origin{fingerprint,    model.config.layers, model.config.inner_width,
                                 options.method, options.space,       options.form,
                                 options.seed};
    cluster_report out{clusters(origin, {}), 0, 0, true, std::nullopt};
    {
        const unit_directions found = space(vectors);
        const vector_groups labels = detail::partition_of(found, options, progress, &out);
        out.without_direction = neurons.size() - found.count();
        out.found = {origin, detail::describe(concept_reader(model, options.form), neurons, vectors,
                                              found, labels, options)};
    }
    if (options.shuffle) {
        shuffle_components(vectors, options.seed);
        const unit_directions found = space(vectors);
        const vector_groups labels = detail::partition_of(found, options, progress);
        const double inertia = sum_clusters(found.unit, labels, detail::count_of(labels)).inertia();
        out.shuffled = {inertia, 1.0 - inertia / static_cast<double>(found.count())};
    }
    return out;
}

#endif

}  // namespace xlens
