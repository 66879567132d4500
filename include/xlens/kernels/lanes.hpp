// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/core/unroll.hpp>
#include <xlens/core/words.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

// What the row kernels share: how the last, partial batch of a row is read and written, and in
// which order the lanes of a batch are reduced. A partial batch goes through the same vector
// instructions as a full one, so that a value has the same bits wherever it stands in a row, and
// all loads are unaligned ones, so that it has the same bits wherever the row stands in memory.

namespace xlens::kernels {

/// The first `count` < lanes floats at `src`, then `fill`.
inline batch load_partial(const float* src, std::size_t count, float fill) {
    std::array<float, lanes> padded;
    padded.fill(fill);
    std::memcpy(padded.data(), src, count * sizeof(float));
    return batch::load_unaligned(padded.data());
}

/// Writes the first `count` < lanes floats of `values`.
inline void store_partial(const batch& values, float* out, std::size_t count) {
    std::array<float, lanes> padded;
    values.store_unaligned(padded.data());
    std::memcpy(out, padded.data(), count * sizeof(float));
}

/// All lanes reduced to one by `meet`, halves with halves: lane l meets lane l ± half.
template <std::size_t half = lanes / 2, class Meet>
float reduce_lanes(const batch& values, Meet meet) {
    if constexpr (half == 0) {
        return values.get(0);
    } else {
        const float_lanes x = lanes_of(values);
        const auto others = [&]<std::size_t... l>(std::index_sequence<l...>) {
            return batch_of(__builtin_shufflevector(x, x, static_cast<int>(l ^ half)...));
        };
        return reduce_lanes<half / 2>(meet(values, others(std::make_index_sequence<lanes>())),
                                      meet);
    }
}
/// Sum of the lanes: the same tree on every instruction set of equal width.
inline float sum_lanes(const batch& values) {
    return reduce_lanes(values, [](const batch& a, const batch& b) { return a + b; });
}
/// Largest lane; unspecified if there is a NaN.
inline float maximum_lane(const batch& values) {
    return reduce_lanes(values, [](const batch& a, const batch& b) { return xsimd::max(a, b); });
}

/// Every other lane of x and then y, from lane `first` on.
template <std::size_t first>
[[gnu::always_inline]] inline batch unzip(const batch& x, const batch& y) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) XLENS_INLINE {
        return batch_of(
            __builtin_shufflevector(lanes_of(x), lanes_of(y), static_cast<int>(first + 2 * l)...));
    }(std::make_index_sequence<lanes>{});
}
/// Lanes first, first + 1, ... of a and b by turns.
template <std::size_t first>
[[gnu::always_inline]] inline batch zip(const batch& a, const batch& b) {
    return [&]<std::size_t... l>(std::index_sequence<l...>) XLENS_INLINE {
        return batch_of(__builtin_shufflevector(
            lanes_of(a), lanes_of(b), static_cast<int>(first + l / 2 + l % 2 * lanes)...));
    }(std::make_index_sequence<lanes>{});
}

/// Bit l = lane l.
template <class Flags>  // a template, so that the branch not taken is not compiled
std::uint32_t lane_bits(const Flags& flags) {
    if constexpr (requires { std::uint32_t{flags.data}; }) {  // AVX-512: a mask register
        return flags.data;
    } else {
        std::array<bool, lanes> flag;
        flags.store_unaligned(flag.data());
        std::uint32_t out = 0;
        for (std::size_t l = 0; l < lanes; ++l) { out |= std::uint32_t{flag[l]} << l; }
        return out;
    }
}

/// Sum of the batches that of(i) gives for element i on of `count` elements, and of what rest(i)
/// gives for the last ones if these are no whole batch. Added up in runs of 32 batches, then the
/// runs: over a vocabulary one running sum would lose four times as much to rounding.
template <class Of, class Rest>
float sum_in_runs(std::size_t count, Of of, Rest rest) {
    constexpr std::size_t run = 32 * lanes;
    const std::size_t whole = count - count % lanes;
    batch total(0.0F);
    for (std::size_t first = 0; first < whole; first += run) {
        batch sum(0.0F);
        for (std::size_t i = first; i < std::min(first + run, whole); i += lanes) { sum += of(i); }
        total += sum;
    }
    if (whole < count) { total += rest(whole); }
    return sum_lanes(total);
}

/// Sum over a row of the values that `term` gives for each batch of it (sum_in_runs); lanes past
/// the end of the row read as `fill`, which `term` must map to zero.
template <class Term>
float sum_of(std::span<const float> x, float fill, Term term) {
    return sum_in_runs(
        x.size(), [&](std::size_t i) XLENS_INLINE { return term(batch::load_unaligned(&x[i])); },
        [&](std::size_t i) XLENS_INLINE { return term(load_partial(&x[i], x.size() - i, fill)); });
}

/// x_i = f(x_i), a batch at a time.
template <class Function>
void transform(std::span<float> x, Function f) {
    std::size_t i = 0;
    for (; i + lanes <= x.size(); i += lanes) {
        f(batch::load_unaligned(&x[i])).store_unaligned(&x[i]);
    }
    if (i < x.size()) {
        store_partial(f(load_partial(&x[i], x.size() - i, 0.0F)), &x[i], x.size() - i);
    }
}

/// x_i = f(x_i), and the sum of them (sum_in_runs).
template <class Function>
float transform_and_sum(std::span<float> x, Function f) {
    return sum_in_runs(
        x.size(),
        [&](std::size_t i) XLENS_INLINE {
            const batch y = f(batch::load_unaligned(&x[i]));
            y.store_unaligned(&x[i]);
            return y;
        },
        [&](std::size_t i) XLENS_INLINE {
            const std::size_t count = x.size() - i;
            store_partial(f(load_partial(&x[i], count, 0.0F)), &x[i], count);
            return load_partial(&x[i], count, 0.0F);
        });
}

/// Largest value; -inf for an empty row. Unspecified if there is a NaN.
inline float maximum(std::span<const float> x) {
    constexpr float lowest = -std::numeric_limits<float>::infinity();
    batch best(lowest);
    std::size_t i = 0;
    for (; i + lanes <= x.size(); i += lanes) {
        best = xsimd::max(best, batch::load_unaligned(&x[i]));
    }
    if (i < x.size()) { best = xsimd::max(best, load_partial(&x[i], x.size() - i, lowest)); }
    return maximum_lane(best);
}

}  // namespace xlens::kernels
