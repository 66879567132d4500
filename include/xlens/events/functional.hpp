// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/events/statistics.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#if XLENS_DEFINES(events)
#include <algorithm>
#include <numeric>
#endif

namespace xlens {

/// Positions among which a functional value vector gives at least one extreme score, and a
/// functional cluster one a member, in the mean.
inline constexpr std::uint64_t functional_rarest = 1000;

/// What counts as one time.
enum class extreme_count {
    own,    ///< an extreme score of the value vector itself
    active  ///< it is among the dominant of an update in which any of them has an extreme score:
            ///< how Geva et al. 2022 count
};

/// How many groups of value vectors are functional, and how many value vectors are in them. Margins
/// are half of a 95 % interval (`part_margin`); NaN with fewer than two windows.
struct functional_share {
    double groups = 0.0;  ///< of all groups
    double groups_margin = std::numeric_limits<double>::quiet_NaN();
    double vectors = 0.0;  ///< of all L·F value vectors
    double vectors_margin = std::numeric_limits<double>::quiet_NaN();
};

/// A value vector that gives extreme scores often.
struct functional_vector {
    neuron where;
    neuron_counts counts;

    [[nodiscard]] std::uint64_t extremes() const;
};

/// Where extreme scores come from, value vector by value vector (Geva et al. 2022, section 5.3,
/// counts clusters: functional_clusters.hpp). A score is extreme if |m_i·⟨e_w, v_i⟩| reaches the
/// threshold, w being the top candidate before the update and v_i among the dominant.
struct functional_vectors {
    std::vector<functional_vector>
        often;                          ///< extreme at one position in `rarest` or more, most first
    std::vector<std::size_t> by_layer;  ///< (L): how many of `often`
    std::size_t any = 0;                ///< value vectors with an extreme score
    std::size_t half = 0;               ///< fewest that give half of all extreme scores
    std::size_t nine_tenths = 0;        ///< … nine tenths
    std::uint64_t promoting = 0;        ///< extreme scores above 0
    std::uint64_t suppressing = 0;      ///< and below
    std::uint64_t extreme_updates = 0;  ///< updates with one or more
    functional_share own;               ///< `often`, as a share
    functional_share active;            ///< the same, counted as the paper does
};

namespace detail {

/// Half of the 95 % interval of an estimate, from what it becomes without each of G parts: the
/// delete-one jackknife, t(G-1)·√((G-1)/G·Σ_g (θ_g - mean θ)²) (Efron and Tibshirani 1993, chapter
/// 11). NaN for fewer than two.
XLENS_API double part_margin(std::span<const double> without);

/// A number for each value vector, that of its group, or `no_group`.
using group_numbers = std::span<const std::uint32_t>;
inline constexpr std::uint32_t no_group = std::numeric_limits<std::uint32_t>::max();

/// How often the members of a group were counted, together.
struct group_sum {
    std::uint64_t size = 0;
    std::uint64_t count = 0;
    /// Once a member, at one position in functional_rarest.
    [[nodiscard]] bool functional(std::uint64_t positions) const;
};

XLENS_API std::uint64_t times_of(const neuron_counts& n, extreme_count which);
XLENS_API std::uint64_t times_of(const neuron_part_counts& n, extreme_count which);

/// Of `groups` groups; value vector i is in group number[i].
XLENS_API std::vector<group_sum> sum_groups(const event_statistics& found, group_numbers number,
                                            std::size_t groups, extreme_count which);

XLENS_API functional_share share_of(std::span<const group_sum> sums, std::uint64_t positions,
                                    std::size_t vectors);

/// O(parts·L·F).
XLENS_API functional_share find_share(const event_statistics& found, group_numbers number,
                                      std::size_t groups, extreme_count which);

}  // namespace detail

/// O(L·F log(L·F)).
XLENS_API functional_vectors find_functional(const event_statistics& found);

#if XLENS_DEFINES(events)

XLENS_API std::uint64_t functional_vector::extremes() const {
    return std::uint64_t{counts.promotes} + counts.suppresses;
}

namespace detail {

XLENS_API double part_margin(std::span<const double> without) {
    constexpr std::array<double, event_statistics::parts - 1> t_975{
        12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622};
    if (without.size() < 2) { return std::numeric_limits<double>::quiet_NaN(); }
    const auto count = static_cast<double>(without.size());
    const double mean = std::accumulate(without.begin(), without.end(), 0.0) / count;
    double squares = 0.0;
    for (const double x : without) { squares += (x - mean) * (x - mean); }
    return t_975[without.size() - 2] * std::sqrt((count - 1.0) / count * squares);
}

XLENS_API bool group_sum::functional(std::uint64_t positions) const {
    return count > 0 && count * functional_rarest >= positions * size;
}

XLENS_API std::uint64_t times_of(const neuron_counts& n, extreme_count which) {
    return which == extreme_count::own ? std::uint64_t{n.promotes} + n.suppresses : n.in_extreme;
}

XLENS_API std::uint64_t times_of(const neuron_part_counts& n, extreme_count which) {
    return which == extreme_count::own ? n.extreme : n.active;
}

XLENS_API std::vector<group_sum> sum_groups(const event_statistics& found, group_numbers number,
                                            std::size_t groups, extreme_count which) {
    std::vector<group_sum> out(groups);
    for (std::size_t i = 0; i < number.size(); ++i) {
        if (number[i] == no_group) { continue; }
        ++out[number[i]].size;
        out[number[i]].count += times_of(found.neurons[i], which);
    }
    return out;
}

XLENS_API functional_share share_of(std::span<const group_sum> sums, std::uint64_t positions,
                                    std::size_t vectors) {
    functional_share out;
    for (const group_sum& s : sums) {
        if (!s.functional(positions)) { continue; }
        out.groups += 1.0;
        out.vectors += static_cast<double>(s.size);
    }
    out.groups /= static_cast<double>(std::max<std::size_t>(sums.size(), 1));
    out.vectors /= static_cast<double>(std::max<std::size_t>(vectors, 1));
    return out;
}

XLENS_API functional_share find_share(const event_statistics& found, group_numbers number,
                                      std::size_t groups, extreme_count which) {
    const std::vector<group_sum> all = sum_groups(found, number, groups, which);
    functional_share out = share_of(all, found.positions, number.size());
    std::vector<double> of_groups;
    std::vector<double> of_vectors;
    for (std::size_t p = 0; p < event_statistics::parts; ++p) {
        if (found.part_positions[p] == 0) { continue; }
        std::vector<group_sum> rest = all;
        for (std::size_t i = 0; i < number.size(); ++i) {
            if (number[i] == no_group) { continue; }
            rest[number[i]].count -= times_of(found.by_part[p * number.size() + i], which);
        }
        const functional_share without =
            share_of(rest, found.positions - found.part_positions[p], number.size());
        of_groups.push_back(without.groups);
        of_vectors.push_back(without.vectors);
    }
    out.groups_margin = part_margin(of_groups);
    out.vectors_margin = part_margin(of_vectors);
    return out;
}

}  // namespace detail

XLENS_API functional_vectors find_functional(const event_statistics& found) {
    functional_vectors out;
    std::vector<functional_vector> all;
    for (std::size_t i = 0; i < found.neurons.size(); ++i) {
        const functional_vector v{{i / found.inner_width, i % found.inner_width}, found.neurons[i]};
        out.promoting += v.counts.promotes;
        out.suppressing += v.counts.suppresses;
        if (v.extremes() > 0) { all.push_back(v); }
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& a, const auto& b) { return a.extremes() > b.extremes(); });
    out.any = all.size();
    out.by_layer.assign(found.layers, 0);
    const std::uint64_t total = out.promoting + out.suppressing;
    std::uint64_t sum = 0;
    for (const functional_vector& v : all) {
        if (2 * sum < total) { ++out.half; }
        if (10 * sum < 9 * total) { ++out.nine_tenths; }
        sum += v.extremes();
        if (v.extremes() * functional_rarest < found.positions) { continue; }
        out.often.push_back(v);
        ++out.by_layer[v.where.layer];
    }
    for (const std::uint64_t n : found.extreme_updates) { out.extreme_updates += n; }
    std::vector<std::uint32_t> alone(found.neurons.size());
    std::iota(alone.begin(), alone.end(), std::uint32_t{0});
    out.own = detail::find_share(found, alone, alone.size(), extreme_count::own);
    out.active = detail::find_share(found, alone, alone.size(), extreme_count::active);
    return out;
}

#endif

}  // namespace xlens
