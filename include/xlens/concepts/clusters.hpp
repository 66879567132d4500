// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/concepts/value_directions.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/core/types.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/lens/token_ends.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(concepts)
#include <xlens/core/error.hpp>

#include <algorithm>
#endif

namespace xlens {

enum class cluster_method { k_means, complete };

inline constexpr std::string_view name_of(cluster_method method) {
    return method == cluster_method::k_means ? "kmeans" : "complete";
}
XLENS_API cluster_method parse_cluster_method(std::string_view name);

/// Value vectors that point in similar directions, and the concept that they share.
struct cluster {
    std::vector<neuron> neurons;  ///< ascending
    double cohesion = 0.0;        ///< mean cosine to the centroid, in the space of the clusters
    /// (D), of length one: the sum of the members v_i, each divided by its length in the space of
    /// the clusters, so that its projection is that of the members' mean. With projection::standard
    /// of v_i - μ, to which it is an offset.
    std::vector<float> centroid;
    token_ends concept_of_centroid;  ///< what the centroid promotes and suppresses
};

/// What clusters were made of.
struct clusters_origin {
    std::uint64_t model = 0;  ///< its fingerprint (storage/fingerprint.hpp)
    std::size_t layers = 0;
    std::size_t inner_width = 0;
    cluster_method method = cluster_method::k_means;
    cluster_space space = cluster_space::raw;
    projection form = projection::folded;
    std::uint64_t seed = 0;
    bool operator==(const clusters_origin&) const = default;
};

/// How close vectors are to their centroids.
struct cluster_quality {
    double inertia = 0.0;   ///< Σ_i (1 - cos(v_i, centroid of its cluster))
    double cohesion = 0.0;  ///< mean cosine: 1 - inertia / n
};

/// Clusters of a model's value vectors, numbered from 0. A neuron is in one cluster, or in none: it
/// was not in the sample, or its value vector is zero or not finite. A value type;
/// clusters_json.hpp writes and reads it.
class clusters {
public:
    /// Sorts each cluster's neurons. Throws xlens::error for a neuron that the model lacks, or that
    /// stands in two clusters.
    clusters(const clusters_origin& origin, std::vector<cluster> found);

    [[nodiscard]] const clusters_origin& origin() const { return m_origin; }
    [[nodiscard]] std::size_t count() const { return m_clusters.size(); }
    /// Neurons that are in a cluster.
    [[nodiscard]] std::size_t neurons() const { return m_neurons; }
    [[nodiscard]] std::span<const cluster> all() const { return m_clusters; }

    /// The cluster of a neuron, if it is in one. O(1). Throws xlens::error for a neuron that the
    /// model lacks.
    [[nodiscard]] std::optional<std::size_t> of(const neuron& n) const;
    /// The neurons of a cluster, ascending. Throws xlens::error for a number that no cluster has.
    [[nodiscard]] std::span<const neuron> members(std::size_t id) const;
    [[nodiscard]] cluster_quality quality() const;

private:
    static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

    [[nodiscard]] std::size_t number(const neuron& n) const;

    clusters_origin m_origin;
    std::vector<cluster> m_clusters;
    std::vector<std::uint32_t> m_labels;  // L·F
    std::size_t m_neurons = 0;
};

#if XLENS_DEFINES(concepts)

XLENS_API cluster_method parse_cluster_method(std::string_view name) {
    if (name == "kmeans") { return cluster_method::k_means; }
    if (name == "complete") { return cluster_method::complete; }
    fail("method: expected kmeans or complete, got '{}'", printable(name));
}

XLENS_API clusters::clusters(const clusters_origin& origin, std::vector<cluster> found)
    : m_origin(origin),
      m_clusters(std::move(found)),
      m_labels(origin.layers * origin.inner_width, none) {
    for (std::size_t id = 0; id < m_clusters.size(); ++id) {
        std::ranges::sort(m_clusters[id].neurons);
        for (const neuron& n : m_clusters[id].neurons) {
            check_neuron(n, origin.layers, origin.inner_width);
            std::uint32_t& label = m_labels[number(n)];
            if (label != none) {
                fail("neuron {}: in clusters {} and {}, expected one", to_string(n), label, id);
            }
            label = static_cast<std::uint32_t>(id);
            ++m_neurons;
        }
    }
}

XLENS_API std::optional<std::size_t> clusters::of(const neuron& n) const {
    check_neuron(n, m_origin.layers, m_origin.inner_width);
    const std::uint32_t label = m_labels[number(n)];
    return label == none ? std::nullopt : std::optional<std::size_t>(label);
}

XLENS_API std::span<const neuron> clusters::members(std::size_t id) const {
    if (id >= count()) {
        fail("cluster {}: expected a number below {}, that of the clusters", id, count());
    }
    return m_clusters[id].neurons;
}

XLENS_API cluster_quality clusters::quality() const {
    double cosines = 0.0;
    for (const cluster& c : m_clusters) {
        cosines += c.cohesion * static_cast<double>(c.neurons.size());
    }
    const auto n = static_cast<double>(m_neurons);
    return {n - cosines, m_neurons > 0 ? cosines / n : 0.0};
}

XLENS_API std::size_t clusters::number(const neuron& n) const {
    return n.layer * m_origin.inner_width + n.index;
}

#endif

}  // namespace xlens
