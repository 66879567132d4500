// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/concepts/clusters.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/events/functional.hpp>
#include <xlens/events/statistics.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#if XLENS_DEFINES(events)
#include <xlens/core/error.hpp>
#include <xlens/numerics/random_draws.hpp>

#include <algorithm>
#endif

namespace xlens {

/// A cluster of value vectors, some of which give extreme scores. Counts are sums over its members:
/// those of neuron_counts.
struct functional_cluster {
    std::size_t id = 0;
    std::size_t size = 0;
    std::uint64_t dominant = 0;
    std::uint64_t in_extreme = 0;
    std::uint64_t promotes = 0;
    std::uint64_t suppresses = 0;
    std::size_t functional_members = 0;  ///< members that are functional by themselves
    std::vector<std::size_t> by_layer;   ///< (L): members

    [[nodiscard]] std::uint64_t extremes() const { return promotes + suppresses; }
};

/// Which clusters of value vectors the extreme scores come from (Geva et al. 2022, section 5.3). A
/// cluster is functional if a member gives an extreme score at one position in functional_rarest or
/// more, in the mean over its members: so a large cluster is not functional for its size alone, and
/// clusters of one are functional_vectors.
struct functional_clusters {
    /// Clusters with any extreme score, most extreme scores a member first.
    std::vector<functional_cluster> ranked;
    std::size_t often = 0;              ///< the first so many of `ranked` are functional
    std::vector<std::size_t> by_layer;  ///< (L): members of functional clusters
    std::size_t clusters = 0;           ///< all
    std::size_t vectors = 0;            ///< value vectors that are in a cluster
    std::size_t half = 0;  ///< first so many of `ranked` that give half of all extreme scores
    std::size_t half_vectors = 0;  ///< their members
    std::size_t nine_tenths = 0;   ///< … nine tenths
    std::size_t nine_tenths_vectors = 0;
    functional_share own;     ///< `often`, as a share
    functional_share active;  ///< the same, counted as the paper does
    functional_share
        shuffled;  ///< `own`, if the same vectors stood in clusters of the same sizes at
                   ///< random; the mean of cluster_shuffles times, without margins
};

/// How often functional_clusters::shuffled shuffles.
inline constexpr std::size_t cluster_shuffles = 16;

namespace detail {

XLENS_API functional_share shuffled_share(const event_statistics& found,
                                          std::vector<std::uint32_t> number, std::size_t groups,
                                          std::uint64_t seed);

XLENS_API functional_cluster count_cluster(const event_statistics& found, const clusters& of,
                                           std::size_t id);

}  // namespace detail

/// Counts of a run of `events` are sums over its text, so that clusters can be made, and changed,
/// after it. `seed` is that of the shuffles. Throws xlens::error for clusters of a model of another
/// size. O(shuffles·L·F).
XLENS_API functional_clusters find_functional(const event_statistics& found, const clusters& of,
                                              std::uint64_t seed);

#if XLENS_DEFINES(events)

namespace detail {

XLENS_API functional_share shuffled_share(const event_statistics& found,
                                          std::vector<std::uint32_t> number, std::size_t groups,
                                          std::uint64_t seed) {
    std::vector<std::size_t> grouped;  // vectors of no cluster stay out
    for (std::size_t i = 0; i < number.size(); ++i) {
        if (number[i] != no_group) { grouped.push_back(i); }
    }
    random_draws draws(seed);
    functional_share out;
    for (std::size_t time = 0; time < cluster_shuffles; ++time) {
        for (std::size_t i = grouped.size(); i > 1; --i) {
            std::swap(number[grouped[i - 1]], number[grouped[draws.below(i)]]);
        }
        const functional_share once = share_of(
            sum_groups(found, number, groups, extreme_count::own), found.positions, number.size());
        out.groups += once.groups / cluster_shuffles;
        out.vectors += once.vectors / cluster_shuffles;
    }
    return out;
}

XLENS_API functional_cluster count_cluster(const event_statistics& found, const clusters& of,
                                           std::size_t id) {
    functional_cluster out;
    out.id = id;
    out.by_layer.assign(found.layers, 0);
    for (const neuron& where : of.members(id)) {
        const neuron_counts& n = found.neurons[where.layer * found.inner_width + where.index];
        ++out.size;
        ++out.by_layer[where.layer];
        out.dominant += n.dominant;
        out.in_extreme += n.in_extreme;
        out.promotes += n.promotes;
        out.suppresses += n.suppresses;
        const group_sum alone{1, times_of(n, extreme_count::own)};
        out.functional_members += alone.functional(found.positions) ? 1 : 0;
    }
    return out;
}

}  // namespace detail

XLENS_API functional_clusters find_functional(const event_statistics& found, const clusters& of,
                                              std::uint64_t seed) {
    const clusters_origin& origin = of.origin();
    if (origin.layers != found.layers || origin.inner_width != found.inner_width) {
        fail("clusters: of {} layers of {} neurons, the events are of {} layers of {}",
             origin.layers, origin.inner_width, found.layers, found.inner_width);
    }
    functional_clusters out;
    out.clusters = of.count();
    out.vectors = of.neurons();
    std::vector<std::uint32_t> number(found.neurons.size(), detail::no_group);
    std::uint64_t total = 0;
    for (std::size_t id = 0; id < of.count(); ++id) {
        for (const neuron& n : of.members(id)) {
            number[n.layer * found.inner_width + n.index] = static_cast<std::uint32_t>(id);
        }
        functional_cluster one = detail::count_cluster(found, of, id);
        total += one.extremes();
        if (one.extremes() > 0) { out.ranked.push_back(std::move(one)); }
    }
    std::stable_sort(out.ranked.begin(), out.ranked.end(), [](const auto& a, const auto& b) {
        return a.extremes() * b.size > b.extremes() * a.size;
    });
    out.by_layer.assign(found.layers, 0);
    std::uint64_t sum = 0;
    for (const functional_cluster& c : out.ranked) {
        if (2 * sum < total) {
            ++out.half;
            out.half_vectors += c.size;
        }
        if (10 * sum < 9 * total) {
            ++out.nine_tenths;
            out.nine_tenths_vectors += c.size;
        }
        sum += c.extremes();
        if (!detail::group_sum{c.size, c.extremes()}.functional(found.positions)) { continue; }
        ++out.often;
        for (std::size_t l = 0; l < found.layers; ++l) { out.by_layer[l] += c.by_layer[l]; }
    }
    out.own = detail::find_share(found, number, of.count(), extreme_count::own);
    out.active = detail::find_share(found, number, of.count(), extreme_count::active);
    out.shuffled = detail::shuffled_share(found, std::move(number), of.count(), seed);
    return out;
}

#endif

}  // namespace xlens
