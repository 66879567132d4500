// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/numerics/directions.hpp>
#include <xlens/numerics/k_means_seeding.hpp>
#include <xlens/numerics/partition.hpp>
#include <xlens/numerics/random_draws.hpp>
#include <xlens/storage/rows.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#if XLENS_DEFINES(numerics)
#include <algorithm>
#endif

namespace xlens {

struct k_means_options {
    std::size_t clusters = 200;
    std::uint64_t seed = 0;
    std::size_t rounds = 100;  ///< most rounds
    double tolerance = 1e-5;   ///< it ends when a round takes less than this share off the inertia
};

struct k_means_result {
    vector_groups labels;             ///< n: the nearest centroid, of equals the lower number
    xt::xtensor<float, 2> centroids;  ///< (clusters, D), rows of length one
    double inertia = 0.0;             ///< Σ_i (1 - cos(x_i, its centroid))
    std::size_t rounds = 0;           ///< times that the centroids moved
    bool settled = false;             ///< it ended by its tolerance
};

namespace detail {

class k_means_rounds {
public:
    k_means_rounds(rows<const float> unit, xt::xtensor<float, 2> centroids);
    k_means_result& result() { return m_result; }

    /// Moves the centroids and assigns every vector anew.
    void round();

private:
    void assign();
    void move();
    /// An empty cluster begins anew at the vector that fits its own worst, unless it is alone
    /// there.
    void replace(std::size_t cluster, std::vector<std::size_t>& sizes);

    rows<const float> m_unit;
    k_means_result m_result;
    std::vector<float> m_cosines;  // n: with its centroid
};

}  // namespace detail

/// Spherical k-means (Dhillon and Modha 2001) of unit vectors (n, D): each vector belongs to the
/// centroid of the largest cosine, each centroid is the direction of its vectors' sum, by turns.
/// The first centroids are greedy k-means++. The same seed gives the same clusters for any number
/// of threads. There are fewer than `clusters` where the vectors have fewer different directions.
/// `progress(done, total)` counts the first centroids and the rounds.
///
/// A round costs n·k·D multiply-adds. Memory beyond the vectors: n·(ln k + 8) floats and 12·k·D
/// bytes; no (n, n) or (n, k) matrix. Throws xlens::error for k outside 1 to n and for vectors that
/// have not length one (`directions_of` makes them so).
template <class Progress>
k_means_result k_means(rows<const float> unit, const k_means_options& options, Progress progress) {
    detail::check_cluster_count(options.clusters, unit.count());
    detail::check_unit(unit);
    const std::size_t total = options.clusters + options.rounds;
    random_draws draw(options.seed);
    detail::k_means_seeding seeding(unit, options.clusters, draw);
    detail::k_means_rounds rounds(
        unit, seeding.centroids([&](std::size_t done) { progress(done, total); }));
    k_means_result& result = rounds.result();
    while (result.rounds < options.rounds && !result.settled) {
        const double before = result.inertia;
        rounds.round();
        result.settled = before - result.inertia <= options.tolerance * before;
        progress(options.clusters + result.rounds, total);
    }
    return std::move(result);
}

#if XLENS_DEFINES(numerics)

namespace detail {

XLENS_API k_means_rounds::k_means_rounds(rows<const float> unit, xt::xtensor<float, 2> centroids)
    : m_unit(unit) {
    m_result.centroids = std::move(centroids);
    m_result.labels.resize(unit.count());
    m_cosines.resize(unit.count());
    assign();
}

XLENS_API void k_means_rounds::round() {
    move();
    assign();
    ++m_result.rounds;
}

XLENS_API void k_means_rounds::assign() {
    meet(m_unit, m_result.centroids, [&](std::size_t first, rows<float> cosines) {
        for (std::size_t i = 0; i < cosines.count(); ++i) {
            const auto best = std::ranges::max_element(cosines[i]);
            m_result.labels[first + i] = static_cast<std::uint32_t>(best - cosines[i].begin());
            m_cosines[first + i] = *best;
        }
    });
    m_result.inertia = 0.0;
    for (const float cosine : m_cosines) { m_result.inertia += 1.0 - double{cosine}; }
}

XLENS_API void k_means_rounds::move() {
    const std::size_t k = m_result.centroids.shape(0);
    const cluster_sums found = sum_clusters(m_unit, m_result.labels, k);
    std::vector<std::size_t> sizes = found.sizes;
    for (std::size_t c = 0; c < k; ++c) {
        const double length = found.length(c);
        if (sizes[c] == 0) { replace(c, sizes); }
        if (!(length > 1e-6)) { continue; }  // opposite vectors: the centroid stays
        for (std::size_t d = 0; d < m_unit.width(); ++d) {
            m_result.centroids(c, d) = static_cast<float>(found.sums(c, d) / length);
        }
    }
}

XLENS_API void k_means_rounds::replace(std::size_t cluster, std::vector<std::size_t>& sizes) {
    std::size_t worst = m_cosines.size();
    for (std::size_t i = 0; i < m_cosines.size(); ++i) {
        if (sizes[m_result.labels[i]] > 1 &&
            (worst == m_cosines.size() || m_cosines[i] < m_cosines[worst])) {
            worst = i;
        }
    }
    if (worst == m_cosines.size()) { return; }
    --sizes[m_result.labels[worst]];
    m_cosines[worst] = 2.0F;  // no other takes it
    std::ranges::copy(m_unit[worst], rows<float>(m_result.centroids)[cluster].begin());
}

}  // namespace detail

#endif

}  // namespace xlens
