// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/core/words.hpp>

#include <array>
#include <cstddef>
#include <utility>

namespace xlens::kernels {

namespace detail {

/// One step of a fold: `a` and `b` hold sums as segments of `size` lanes, one segment a sum. The
/// upper half of every segment meets its lower half, and it packs those of a and b into one batch.
template <std::size_t size, class Meet>
[[gnu::always_inline]] inline batch fold_pair(const batch& a, const batch& b, Meet meet) {
    const float_lanes x = lanes_of(a);
    const float_lanes y = lanes_of(b);
    const auto half = [&]<std::size_t... l>(std::index_sequence<l...>, auto upper) {
        constexpr std::size_t h = size / 2;
        return __builtin_shufflevector(
            x, y, static_cast<int>(l / h * size + l % h + (upper.value ? h : 0))...);
    };
    const std::make_index_sequence<lanes> all;
    return meet(batch_of(half(all, std::false_type{})), batch_of(half(all, std::true_type{})));
}

template <std::size_t size, std::size_t N, class Meet>
[[gnu::always_inline]] inline batch fold_segments(const std::array<batch, N>& x, Meet meet) {
    if constexpr (size == 1) {
        return x[0];
    } else if constexpr (N == 1) {
        return fold_segments<size / 2>(std::array{fold_pair<size>(x[0], x[0], meet)}, meet);
    } else {
        std::array<batch, N / 2> next;
        for (std::size_t i = 0; i < N / 2; ++i) {
            next[i] = fold_pair<size>(x[2 * i], x[2 * i + 1], meet);
        }
        return fold_segments<size / 2>(next, meet);
    }
}

}  // namespace detail

/// Lane i = the lanes of x[i] met with each other, i < N, N a power of two up to `lanes`: halves
/// meet halves, the same tree for any N, so that a sum has the same bits whichever others it is
/// folded with. N - 1 + log2(lanes / N) meetings where N single sums take N·log2(lanes).
template <std::size_t N, class Meet>
[[gnu::always_inline]] inline batch fold(const std::array<batch, N>& x, Meet meet) {
    static_assert(N <= lanes && (N & (N - 1)) == 0);
    return detail::fold_segments<lanes>(x, meet);
}
/// Lane i = the sum of the lanes of sums[i].
template <std::size_t N>
[[gnu::always_inline]] inline batch fold(const std::array<batch, N>& sums) {
    return fold(sums, [](const batch& a, const batch& b) { return a + b; });
}

}  // namespace xlens::kernels
