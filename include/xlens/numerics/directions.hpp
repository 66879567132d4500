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
#include <xlens/numerics/random_draws.hpp>
#include <xlens/numerics/splitmix64.hpp>

#include <algorithm>
#endif

namespace xlens {

/// Vectors scaled to length one, which is all that a cosine sees of them. A vector that is zero, or
/// not finite, has no direction and is left out.
struct unit_directions {
    xt::xtensor<float, 2> unit;     ///< (n, D): rows of length one
    std::vector<std::size_t> kept;  ///< n: which row of the input each one was, ascending
    std::vector<double> lengths;    ///< n: ‖v‖ of it

    [[nodiscard]] std::size_t count() const { return kept.size(); }
};

namespace detail {

/// ‖v‖ in double, elements added in their order: the same bits on every machine.
XLENS_API double length_of(std::span<const float> v);

/// Throws xlens::error unless all rows have length one.
XLENS_API void check_unit(rows<const float> unit);

}  // namespace detail

/// The directions of vectors (n, D), which are scaled where they are: no memory but the result's.
XLENS_API unit_directions directions_of(xt::xtensor<float, 2>&& vectors);

/// Permutes each column of vectors (n, D) by itself, at random: a control for clusters. Every
/// dimension keeps its values, and what they had to do with each other is gone. O(n·D).
XLENS_API void shuffle_components(rows<float> vectors, std::uint64_t seed);

#if XLENS_DEFINES(numerics)

namespace detail {

XLENS_API double length_of(std::span<const float> v) {
    double squares = 0.0;
    for (const float x : v) { squares += double{x} * double{x}; }
    return std::sqrt(squares);
}

XLENS_API void check_unit(rows<const float> unit) {
    for (std::size_t i = 0; i < unit.count(); ++i) {
        const double length = length_of(unit[i]);
        if (!(std::abs(length - 1.0) < 1e-3)) {
            fail("vector {}: expected length 1, got {}: only directions can be clustered", i,
                 length);
        }
    }
}

}  // namespace detail

XLENS_API unit_directions directions_of(xt::xtensor<float, 2>&& vectors) {
    const std::size_t n = vectors.shape(0);
    const rows<float> all = vectors;
    std::vector<double> lengths(n);
    parallel_for(n, 4 * all.width(), [&](std::size_t i) {
        const double length = detail::length_of(all[i]);
        lengths[i] = std::isfinite(length) ? length : 0.0;
        if (lengths[i] == 0.0) { return; }
        for (float& x : all[i]) { x = static_cast<float>(double{x} / length); }
    });
    unit_directions out;
    for (std::size_t i = 0; i < n; ++i) {
        if (lengths[i] == 0.0) { continue; }
        if (out.count() < i) { std::copy(all[i].begin(), all[i].end(), all[out.count()].begin()); }
        out.kept.push_back(i);
        out.lengths.push_back(lengths[i]);
    }
    if (out.count() < n) {
        xt::xtensor<float, 2> fewer = xt::view(vectors, xt::range(0, out.count()), xt::all());
        vectors = std::move(fewer);
    }
    out.unit = std::move(vectors);
    return out;
}

XLENS_API void shuffle_components(rows<float> vectors, std::uint64_t seed) {
    const std::size_t n = vectors.count();
    parallel_for(vectors.width(), 64 * n, [&](std::size_t d) {
        random_draws draw(seed ^ (splitmix64::step * (d + 1)));  // a generator a column
        for (std::size_t i = n; i > 1; --i) {
            std::swap(vectors[i - 1][d], vectors[draw.below(i)][d]);
        }
    });
}

#endif

}  // namespace xlens
