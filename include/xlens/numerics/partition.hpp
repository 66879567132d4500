// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/storage/rows.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(numerics)
#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>

#include <map>
#endif

namespace xlens {

/// The cluster of each of n vectors, from 0.
using vector_groups = std::vector<std::uint32_t>;

namespace detail {
/// Throws xlens::error for a k that n vectors cannot be cut into.
XLENS_API void check_cluster_count(std::size_t k, std::size_t vectors);
}  // namespace detail

/// Σ of each cluster's vectors: all that is needed of them for centroid, cohesion and inertia.
struct cluster_sums {
    xt::xtensor<double, 2> sums;     ///< (k, D)
    std::vector<std::size_t> sizes;  ///< k

    [[nodiscard]] std::size_t count() const { return sizes.size(); }
    [[nodiscard]] double length(std::size_t cluster) const;
    /// Mean cosine of a cluster's vectors to its centroid, the sum's direction: ‖sum‖ / size.
    [[nodiscard]] double cohesion(std::size_t cluster) const;
    /// Σ_i (1 - cos(x_i, centroid of its cluster)) = Σ_c (size_c - ‖sum_c‖). For vectors of length
    /// one it is half of the squared distances to the centroids scaled to length one.
    [[nodiscard]] double inertia() const;
};

/// The vectors of each of k clusters, ascending.
XLENS_API std::vector<std::vector<std::size_t>> members_of(std::span<const std::uint32_t> labels,
                                                           std::size_t k);

/// Sums of vectors (n, D) by their labels (n), all below k. Each cluster is summed in double, in
/// the order of its vectors. Memory 8·k·D bytes.
XLENS_API cluster_sums sum_clusters(rows<const float> vectors,
                                    std::span<const std::uint32_t> labels, std::size_t k);

/// How far two partitions of the same things agree: 1 where they are equal but for the clusters'
/// numbers, about 0 where they have nothing to do with each other (Hubert and Arabie 1985).
XLENS_API double adjusted_rand_index(std::span<const std::uint32_t> a,
                                     std::span<const std::uint32_t> b);

#if XLENS_DEFINES(numerics)

namespace detail {

XLENS_API void check_cluster_count(std::size_t k, std::size_t vectors) {
    if (k < 1 || k > vectors) {
        fail("clusters: expected 1 to {}, the number of vectors, got {}", vectors, k);
    }
}

}  // namespace detail

XLENS_API double cluster_sums::length(std::size_t cluster) const {
    double squares = 0.0;
    for (std::size_t d = 0; d < sums.shape(1); ++d) {
        squares += sums(cluster, d) * sums(cluster, d);
    }
    return std::sqrt(squares);
}

XLENS_API double cluster_sums::cohesion(std::size_t cluster) const {
    return sizes[cluster] > 0 ? length(cluster) / static_cast<double>(sizes[cluster]) : 0.0;
}

XLENS_API double cluster_sums::inertia() const {
    double sum = 0.0;
    for (std::size_t c = 0; c < count(); ++c) { sum += static_cast<double>(sizes[c]) - length(c); }
    return sum;
}

XLENS_API std::vector<std::vector<std::size_t>> members_of(std::span<const std::uint32_t> labels,
                                                           std::size_t k) {
    std::vector<std::vector<std::size_t>> out(k);
    for (std::size_t i = 0; i < labels.size(); ++i) { out[labels[i]].push_back(i); }
    return out;
}

XLENS_API cluster_sums sum_clusters(rows<const float> vectors,
                                    std::span<const std::uint32_t> labels, std::size_t k) {
    const auto members = members_of(labels, k);
    cluster_sums out{xt::zeros<double>({k, vectors.width()}), std::vector<std::size_t>(k)};
    parallel_for(k, 2 * vectors.width() * (1 + labels.size() / k), [&](std::size_t c) {
        double* sum = &out.sums(c, 0);
        for (const std::size_t i : members[c]) {
            const std::span<const float> v = vectors[i];
            for (std::size_t d = 0; d < v.size(); ++d) { sum[d] += double{v[d]}; }
        }
        out.sizes[c] = members[c].size();
    });
    return out;
}

XLENS_API double adjusted_rand_index(std::span<const std::uint32_t> a,
                                     std::span<const std::uint32_t> b) {
    if (a.size() != b.size()) {
        fail("partitions of {} and of {} things cannot be compared", a.size(), b.size());
    }
    std::map<std::pair<std::uint32_t, std::uint32_t>, double> both;
    std::map<std::uint32_t, double> of_a;
    std::map<std::uint32_t, double> of_b;
    for (std::size_t i = 0; i < a.size(); ++i) {
        both[{a[i], b[i]}] += 1.0;
        of_a[a[i]] += 1.0;
        of_b[b[i]] += 1.0;
    }
    const auto pairs = [](const auto& counts) {
        double sum = 0.0;
        for (const auto& [key, count] : counts) { sum += count * (count - 1.0) / 2.0; }
        return sum;
    };
    const auto n = static_cast<double>(a.size());
    const double all = n * (n - 1.0) / 2.0;
    const double expected = all > 0.0 ? pairs(of_a) * pairs(of_b) / all : 0.0;
    const double most = (pairs(of_a) + pairs(of_b)) / 2.0;
    return most == expected ? 1.0 : (pairs(both) - expected) / (most - expected);
}

#endif

}  // namespace xlens
