// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/checked.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/kernels/dot_in_double.hpp>
#include <xlens/numerics/directions.hpp>
#include <xlens/numerics/partition.hpp>
#include <xlens/storage/rows.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace xlens {

/// Distances of all pairs of n things, each once: n·(n - 1)/2 numbers.
template <std::floating_point Distance>
class condensed_distances {
public:
    explicit condensed_distances(std::size_t n)
        : m_count(n), m_values(n < 2 ? 0 : n * (n - 1) / 2) {}

    /// What n things take, or nothing where no number holds it.
    static std::optional<std::size_t> bytes(std::size_t n) {
        const auto pairs = checked_multiply(n, n < 2 ? std::size_t{0} : n - 1);
        return pairs ? checked_multiply(*pairs / 2, sizeof(Distance)) : std::nullopt;
    }
    [[nodiscard]] std::size_t count() const { return m_count; }
    /// The distance of i and j, i != j.
    [[nodiscard]] Distance& operator()(std::size_t i, std::size_t j) {
        if (i > j) { std::swap(i, j); }
        return m_values[i * (2 * m_count - i - 1) / 2 + (j - i - 1)];
    }
    /// The distances of i to i + 1, i + 2, ..
    [[nodiscard]] std::span<Distance> after(std::size_t i) {
        if (i + 1 >= m_count) { return {}; }
        return std::span(m_values).subspan(i * (2 * m_count - i - 1) / 2, m_count - i - 1);
    }

private:
    std::size_t m_count;
    std::vector<Distance> m_values;
};

/// Two clusters that became one: those of the vectors `a` and `b`, at this distance.
struct linkage_merge {
    std::size_t a = 0;
    std::size_t b = 0;
    double height = 0.0;
};

/// The n - 1 merges of n vectors, by ascending height.
class dendrogram {
public:
    dendrogram(std::size_t n, std::vector<linkage_merge> merges);
    [[nodiscard]] std::size_t count() const { return m_count; }
    [[nodiscard]] std::span<const linkage_merge> merges() const& { return m_merges; }
    /// Deleted, for the span would outlive the dendrogram: give the dendrogram a name first.
    void merges() const&& = delete;

    /// The clusters that are left when all but the last k - 1 merges have been done: exactly k,
    /// numbered by their first vectors. Throws xlens::error for k outside 1 to n. O(n).
    [[nodiscard]] vector_groups cut(std::size_t k) const;

private:
    std::size_t m_count;
    std::vector<linkage_merge> m_merges;
};

struct linkage_options {
    /// Most memory for the distances, in bytes: 1 GiB is 16,384 vectors in double.
    std::size_t memory = std::size_t{1} << 30U;
};

/// Throws xlens::error where the distances of n vectors take more than the limit.
template <std::floating_point Distance>
void check_linkage_memory(std::size_t n, const linkage_options& options) {
    const auto bytes = condensed_distances<Distance>::bytes(n);
    if (bytes && *bytes <= options.memory) { return; }
    constexpr double mebibyte = 1U << 20U;
    const auto vectors = static_cast<double>(n);
    fail(
        "complete linkage: {} vectors need {} MiB of distances, the limit is {} MiB; "
        "take a sample of them or raise the limit",
        n, fmt::format("{:.0f}", vectors * (vectors - 1.0) / 2.0 * sizeof(Distance) / mebibyte),
        fmt::format("{:.0f}", static_cast<double>(options.memory) / mebibyte));
}

namespace detail {

/// 1 - cos of all pairs of unit vectors.
template <std::floating_point Distance>
void fill_cosine_distances(rows<const float> unit, condensed_distances<Distance>& out) {
    const std::size_t n = unit.count();
    std::vector<double> lengths(n);
    for (std::size_t i = 0; i < n; ++i) {
        lengths[i] = std::sqrt(kernels::dot_in_double(unit[i], unit[i]));
    }
    const auto row = [&](std::size_t i) {
        const std::span<Distance> distances = out.after(i);
        for (std::size_t j = 0; j < distances.size(); ++j) {
            const double cosine = kernels::dot_in_double(unit[i], unit[i + 1 + j]) /
                                  (lengths[i] * lengths[i + 1 + j]);
            distances[j] = static_cast<Distance>(std::max(0.0, 1.0 - cosine));
        }
    };
    // A long row and a short one together, so that all pieces are of one size.
    parallel_for((n + 1) / 2, 2 * n * unit.width(), [&](std::size_t i) {
        row(i);
        if (n - 1 - i != i) { row(n - 1 - i); }
    });
}

/// The nearest of `alive` to x, of equals the last of the chain so that the chain ends, else the
/// lowest.
template <std::floating_point Distance>
std::pair<std::size_t, Distance> nearest(condensed_distances<Distance>& d,
                                         std::span<const std::size_t> alive, std::size_t x,
                                         std::size_t before_x) {
    const bool alone = before_x == x;
    std::size_t best = before_x;
    Distance least = alone ? std::numeric_limits<Distance>::infinity() : d(x, before_x);
    for (const std::size_t i : alive) {
        if (i != x && d(x, i) < least) {
            best = i;
            least = d(x, i);
        }
    }
    return {best, least};
}

}  // namespace detail

/// Agglomerative clustering with complete linkage: the distance of two clusters is the largest of
/// any two of their members; the nearest two become one, until there is one. By nearest-neighbour
/// chains (Murtagh 1983), which overwrite `d`. O(n²) time, O(n) memory beyond d. Distances are
/// finite. Where distances are equal another choice may be as right. `progress(done, total)` counts
/// merges.
template <std::floating_point Distance, class Progress>
dendrogram complete_linkage(condensed_distances<Distance>& d, Progress progress) {
    const std::size_t n = d.count();
    std::vector<std::size_t> alive(n);
    std::iota(alive.begin(), alive.end(), std::size_t{0});
    std::vector<std::size_t> chain;
    std::vector<linkage_merge> merges;
    while (alive.size() > 1) {
        if (chain.empty()) { chain.push_back(alive.front()); }
        const std::size_t x = chain.back();
        const std::size_t before_x = chain.size() > 1 ? chain[chain.size() - 2] : x;
        const auto [y, height] = detail::nearest(d, alive, x, before_x);
        if (y != before_x) {
            chain.push_back(y);
            continue;
        }
        // Each is the other's nearest: they merge, and y stands for both.
        chain.resize(chain.size() - 2);
        merges.push_back({std::min(x, y), std::max(x, y), double{height}});
        alive.erase(std::ranges::lower_bound(alive, x));
        for (const std::size_t i : alive) {
            if (i != y) { d(i, y) = std::max(d(i, y), d(i, x)); }
        }
        progress(merges.size(), n - 1);
    }
    return {n, std::move(merges)};
}

/// Complete linkage of unit vectors (n, D) by cosine distance, 1 - cos (Geva et al. 2022, section
/// 5.3). Memory n·(n - 1)/2 distances. Throws xlens::error, before any of it, where that is more
/// than options.memory, and for vectors that have not length one.
template <std::floating_point Distance = double, class Progress>
dendrogram complete_linkage(rows<const float> unit, const linkage_options& options,
                            Progress progress) {
    check_linkage_memory<Distance>(unit.count(), options);
    detail::check_unit(unit);
    condensed_distances<Distance> distances(unit.count());
    detail::fill_cosine_distances(unit, distances);
    return complete_linkage(distances, progress);
}

#if XLENS_DEFINES(numerics)

XLENS_API dendrogram::dendrogram(std::size_t n, std::vector<linkage_merge> merges)
    : m_count(n), m_merges(std::move(merges)) {
    // Stable: a cluster is made before it is merged, also at the same height.
    std::ranges::stable_sort(m_merges, {}, &linkage_merge::height);
}

XLENS_API vector_groups dendrogram::cut(std::size_t k) const {
    detail::check_cluster_count(k, m_count);
    std::vector<std::size_t> parent(m_count);
    std::iota(parent.begin(), parent.end(), std::size_t{0});
    const auto first_of = [&](std::size_t i) {
        while (parent[i] != i) { i = parent[i] = parent[parent[i]]; }
        return i;
    };
    for (const linkage_merge& m : std::span(m_merges).first(m_count - k)) {
        const auto [low, high] = std::minmax({first_of(m.a), first_of(m.b)});
        parent[high] = low;
    }
    vector_groups labels(m_count);
    std::uint32_t next = 0;
    for (std::size_t i = 0; i < m_count; ++i) {
        const std::size_t first = first_of(i);
        labels[i] = first == i ? next++ : labels[first];
    }
    return labels;
}

#endif

}  // namespace xlens
