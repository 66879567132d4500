// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/lens/linear_lens.hpp>
#include <xlens/lens/logit_lens.hpp>

#include <cstddef>
#include <cstdint>

#if XLENS_DEFINES(events)
#include <xlens/numerics/splitmix64.hpp>
#endif

namespace xlens {

/// What `events` measures. All but `batch` changes results.
struct event_options {
    std::size_t window = 512;      ///< tokens that are read together, without what is before them
    std::size_t sub_updates = 10;  ///< dominant sub-updates a layer, and as many random ones
    std::uint64_t seed = 0;        ///< of the random sub-updates and of the random vectors
    projection form = projection::folded;  ///< of the scores that may be extreme; folded or raw
    float threshold = 10.0F;   ///< a score of at least this size, either sign, is extreme
    std::size_t skipped = 1;   ///< first positions of a window, read but not looked at: the first
                               ///< attends to itself alone, and its residual is often a hundred
                               ///< times longer (Sun et al. 2024, 2402.17762)
    std::size_t every = 1;     ///< reads every n-th window
    std::size_t measured = 8;  ///< log-probabilities for one elimination in so many
    /// What residuals are read through, both sides of a layer's update by the map of its output
    /// (linear_lens); borrowed. Null: the logit lens alone. Scores of sub-updates stay as they are.
    const linear_lens* lens = nullptr;
    std::size_t batch = 512;  ///< positions of a pass: 2·L·batch·D floats of memory
};

namespace detail {

/// Purposes of random numbers, so that none is used twice.
enum class draw : std::uint64_t { neuron = 1, vector = 2, measured = 3, value = 4 };
XLENS_API std::uint64_t drawn(draw what, std::uint64_t seed, std::uint64_t a, std::uint64_t b = 0,
                              std::uint64_t c = 0);

}  // namespace detail

#if XLENS_DEFINES(events)

namespace detail {

XLENS_API std::uint64_t drawn(draw what, std::uint64_t seed, std::uint64_t a, std::uint64_t b,
                              std::uint64_t c) {
    return splitmix64::of(splitmix64::of(seed, static_cast<std::uint64_t>(what)), a, b, c);
}

}  // namespace detail

#endif

}  // namespace xlens
