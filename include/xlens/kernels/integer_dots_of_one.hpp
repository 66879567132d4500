// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/dot_tile.hpp>
#include <xlens/kernels/integer_sums.hpp>
#include <xlens/kernels/prefetch.hpp>
#include <xlens/kernels/product.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <type_traits>

// Integer products of one position: as many rows at once as a batch has side by side, from their
// first bytes to their last, so that memory is read in few runs. Codes are taken apart in
// registers.

#if XLENS_INTEGER_DOTS

namespace xlens::kernels::detail {

/// A step of each row (step_of_row) is added to their lanes.
template <class Step>
[[gnu::always_inline]] inline batch add_row_steps(batch sum, const of_rows<Step>& w,
                                                  const step_of_inputs& x) {
    constexpr std::integral_constant<std::size_t, 0> first;
    constexpr std::integral_constant<std::size_t, 1> second;
    of_rows<group_sums<Step::kind>> front;
    of_rows<group_sums<Step::kind>> back;
    of_rows<step_scales<Step::kind>> scales;
    unrolled<rows_a_batch>([&](auto r) XLENS_INLINE {
        front[r] = group_sums<Step::kind>(w[r].codes(first), x.codes);
        back[r] = group_sums<Step::kind>(w[r].codes(second), x.codes + 128);
        scales[r] = w[r].scales();
    });
    return add_step<Step::kind>(sum, front, back, side_by_side<Step::kind>(scales), x);
}

/// The lanes of ⟨w, x⟩ of some rows. Asks for memory that comes later.
template <class Format>
[[gnu::always_inline]] inline batch row_lanes(const stored_rows<rows_a_batch>& w,
                                              step_of_inputs x) {
    batch sum(0.0F);
    each_step<Format>(w, [&](const auto& steps) XLENS_INLINE {
        sum = add_row_steps(sum, steps, x);
        for (const auto& step : steps) {
            prefetch(step.at + blocking::integer_ahead, bytes_of_groups<Format>(2));
        }
        x.advance();
    });
    return sum;
}

/// y(r) = ⟨S_(first + r), x⟩ in integers.
template <class Format>
[[gnu::noinline]] void integer_dots_of_one(const product& p, std::size_t first, std::size_t count) {
    constexpr std::size_t together = 4 * rows_a_batch;
    const step_of_inputs x(*p.quantised, 0);
    const std::span<float> y = p.y[0].subspan(first, count);
    const std::size_t last = first + count - 1;
    stored_rows<rows_a_batch> rows(p.weights, last);
    for (std::size_t r = 0; r < count; r += together) {
        const std::size_t some = std::min(together, count - r);
        batch sums[4] = {};
        for (std::size_t i = 0; i < std::min<std::size_t>(some, 4); ++i) {
            rows.move_to(p.weights, first + r + i, last);
            sums[i] = row_lanes<Format>(rows, x);
        }
        std::array<float, together> out;
        sum_rows(sums, out.data());
        put<together>(out.data(), y.subspan(r, some), false);
    }
}

}  // namespace xlens::kernels::detail

#endif
