// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

/// For lambdas in register blocks: a call would put the whole block into memory. As in
/// `[&](auto i) XLENS_INLINE { ... }`.
#define XLENS_INLINE __attribute__((always_inline))

namespace xlens {

/// body(0), body(1), ..., body(N - 1), each index a compile-time constant: a loop over a register
/// block, whose arrays must not be indexed at run time to stay in registers.
template <std::size_t N, class Body>
[[gnu::always_inline]] inline void unrolled(Body&& body) {
    [&]<std::size_t... i>(std::index_sequence<i...>) XLENS_INLINE {
        (body(std::integral_constant<std::size_t, i>{}), ...);
    }(std::make_index_sequence<N>{});
}

}  // namespace xlens
