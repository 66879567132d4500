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
#include <type_traits>
#include <utility>

// Integer products of a few positions: as many rows at once as a batch has side by side, from their
// first bytes to their last, so that memory is read in few runs. Codes are taken apart in
// registers, where all positions meet them.

#if XLENS_INTEGER_DOTS

namespace xlens::kernels::detail {

/// Positions t to t + P - 1 where they are to be met next; a missing one is the last again.
template <std::size_t P>
struct few_inputs {
    std::array<step_of_inputs, P> of;

    few_inputs(const quantised_rows& x, std::size_t t, std::size_t last)
        : of(each(x, t, last, std::make_index_sequence<P>())) {}
    [[gnu::always_inline]] void advance() {
        unrolled<P>([&](auto p) XLENS_INLINE { of[p].advance(); });
    }

private:
    template <std::size_t... p>
    static std::array<step_of_inputs, P> each(const quantised_rows& x, std::size_t t,
                                              std::size_t last, std::index_sequence<p...>) {
        return {step_of_inputs(x, std::min(t + p, last))...};
    }
};

/// A step of each row (step_of_row) is added to their lanes, sums[p] of position p.
template <class Step, std::size_t P>
[[gnu::always_inline]] inline void add_row_steps(batch (&sums)[P], const of_rows<Step>& w,
                                                 const few_inputs<P>& x) {
    using each = group_sums<Step::kind>;
    of_rows<block_codes> front;
    of_rows<block_codes> back;
    of_rows<step_scales<Step::kind>> scales;
    unrolled<rows_a_batch>([&](auto r) XLENS_INLINE {
        front[r] = w[r].codes(std::integral_constant<std::size_t, 0>());
        back[r] = w[r].codes(std::integral_constant<std::size_t, 1>());
        scales[r] = w[r].scales();
    });
    const scales_of_rows<Step::kind> of_w = side_by_side<Step::kind>(scales);
    unrolled<P>([&](auto p) XLENS_INLINE {
        of_rows<each> a;
        of_rows<each> b;
        unrolled<rows_a_batch>([&](auto r) XLENS_INLINE {
            a[r] = each(front[r], x.of[p].codes);
            b[r] = each(back[r], x.of[p].codes + 128);
        });
        sums[p] = add_step<Step::kind>(sums[p], a, b, of_w, x.of[p]);
    });
}

/// sums[p] := the lanes of ⟨w, x_p⟩ of some rows. Asks for memory that comes later.
template <class Format, std::size_t P>
[[gnu::always_inline]] inline void row_lanes(const stored_rows<rows_a_batch>& w, few_inputs<P> x,
                                             batch (&sums)[P]) {
    unrolled<P>([&](auto p) XLENS_INLINE { sums[p] = batch(0.0F); });
    each_step<Format>(w, [&](const auto& steps) XLENS_INLINE {
        add_row_steps(sums, steps, x);
        for (const auto& step : steps) {
            prefetch(step.at + blocking::integer_ahead, bytes_of_groups<Format>(2));
        }
        x.advance();
    });
}

/// y(t + p, r) = ⟨S_(first + r), x_(t + p)⟩ in integers of up to P positions.
template <class Format, std::size_t P>
[[gnu::noinline]] void integer_dots_of(const product& p, std::size_t t, std::size_t first,
                                       std::size_t count) {
    constexpr std::size_t together = 4 * rows_a_batch;
    const std::size_t positions = std::min(P, p.x.count() - t);
    const few_inputs<P> x(*p.quantised, t, t + positions - 1);
    const std::size_t last = first + count - 1;
    stored_rows<rows_a_batch> rows(p.weights, last);
    for (std::size_t r = 0; r < count; r += together) {
        const std::size_t some = std::min(together, count - r);
        batch lanes_of[P][4] = {};
        for (std::size_t i = 0; i < std::min<std::size_t>(some, 4); ++i) {
            rows.move_to(p.weights, first + r + i, last);
            batch sums[P];
            row_lanes<Format>(rows, x, sums);
            unrolled<P>([&](auto q) XLENS_INLINE { lanes_of[q][i] = sums[q]; });
        }
        for (std::size_t q = 0; q < positions; ++q) {
            std::array<float, together> out;
            sum_rows(lanes_of[q], out.data());
            put<together>(out.data(), p.y[t + q].subspan(first + r, some), false);
        }
    }
}

/// y(t, r) = ⟨S_(first + r), x_t⟩ in integers.
template <class Format>
void integer_dots_of_few(const product& p, std::size_t first, std::size_t count) {
    switch (p.x.count()) {
        case 1: return integer_dots_of<Format, 1>(p, 0, first, count);
        case 2: return integer_dots_of<Format, 2>(p, 0, first, count);
        default:
            for (std::size_t t = 0; t < p.x.count(); t += 4) {
                integer_dots_of<Format, 4>(p, t, first, count);
            }
    }
}

}  // namespace xlens::kernels::detail

#endif
