// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/integer_codes.hpp>
#include <xlens/kernels/integer_codes_256.hpp>
#include <xlens/kernels/integer_lanes.hpp>
#include <xlens/kernels/quantised_rows.hpp>

#include <cstddef>
#include <cstdint>

// The inner part of integer products with VNNI: codes of rows, in registers, meet rounded inputs.
// Formats differ in it by very little, so that rows whose codes have been taken apart
// (integer_tile_vnni.hpp) are multiplied by the same code whatever their format was.

#if XLENS_VNNI

namespace xlens::kernels::detail {

/// What the instructions for a format depend on: whether 16 elements have a scale of their own, and
/// codes an offset.
struct product_kind {
    bool halves;
};
/// What a format adds to that: numbers.
struct product_terms {
    int offset = 0;
    float minimum_factor = 0.0F;
};

template <class Stored>
inline constexpr product_kind kind_of{has_halves<Stored>};
template <class Stored>
constexpr product_terms terms_of() {
    if constexpr (has_halves<Stored>) {
        return {.offset = Stored::offset};
    } else {
        return {.minimum_factor = Stored::minimum_factor};
    }
}

/// Of each group of four blocks, and of each block, a pair of floats.
template <class Stored>
[[gnu::always_inline]] inline group_scales_of<Stored::groups> scales_of(const four_blocks& in) {
    if constexpr (has_scales_at<Stored>) {
        return {{load_scales<Stored::scales_at>(in)}};
    } else {
        return Stored::scales(in);
    }
}

/// Sums of R rows with P positions.
template <product_kind kind, std::size_t N>
struct integer_totals {
    product_lanes products[N];
    __m256 minima[N];  // of block k in lane 2k + 1; of halves: not used

    [[gnu::always_inline]] integer_totals() {
        unrolled<N>([&](auto i) XLENS_INLINE {
            products[i] = zero_products();
            minima[i] = _mm256_setzero_ps();
        });
    }
    /// Writes the sums, N a multiple of 4.
    [[gnu::always_inline]] void store(float minimum_factor, float* out) const {
        static_assert(N % 4 == 0);
        __m256 sums[N];
        unrolled<N>([&](auto i) XLENS_INLINE {
            sums[i] = add_halves(products[i]);
            if constexpr (!kind.halves) {
                sums[i] = add_minima(sums[i], minima[i], minimum_factor);
            }
        });
        unrolled<N / 4>([&](auto i) XLENS_INLINE {
            _mm_storeu_ps(out + 4 * i,
                          sum_each(sums[4 * i], sums[4 * i + 1], sums[4 * i + 2], sums[4 * i + 3]));
        });
    }
};

/// Where positions begin, one after another: their codes and scales (quantised_rows.hpp).
struct rounded_inputs {
    const std::int8_t* codes;
    std::size_t codes_a_row;
    const float* scales;
    std::size_t scales_a_row;

    rounded_inputs(const quantised_rows& x, std::size_t first)
        : codes(x.codes(first)),
          codes_a_row(x.layout().codes_a_row()),
          scales(x.floats(first)),
          scales_a_row(x.layout().floats_a_row()) {}

    /// On to the groups that follow.
    [[gnu::always_inline]] void advance(std::size_t groups) {
        codes += groups * input_layout::group;
        scales += groups * input_layout::floats_a_group;
    }
};

/// A group of four blocks of R rows meets P positions: `u` and `scales` (integer_codes.hpp) are
/// those of group g from x on.
template <product_kind kind, std::size_t R, std::size_t P>
[[gnu::always_inline]] inline void meet_group(const block_codes (&u)[R], const __m256 (&scales)[R],
                                              int offset, const rounded_inputs& x, std::size_t g,
                                              integer_totals<kind, R * P>& total) {
    unrolled<P>([&](auto p) XLENS_INLINE {
        const std::int8_t* q = x.codes + p * x.codes_a_row + g * input_layout::group;
        const code_lanes first = load_inputs(q);
        const code_lanes second = load_inputs(q + input_layout::group / 2);
        const __m256 scale =
            _mm256_loadu_ps(x.scales + p * x.scales_a_row + g * input_layout::floats_a_group);
        if constexpr (kind.halves) {
            const integer_sums first_start = minus_offset(offset, first);
            const integer_sums second_start = minus_offset(offset, second);
            const __m256 step = _mm256_moveldup_ps(scale);
            unrolled<R>([&](auto r) XLENS_INLINE {
                constexpr std::size_t i = p * R + r;
                const __m256 scaled = _mm256_mul_ps(scales[r], step);
                const product_lanes half =
                    add_half_products<0>(total.products[i], u[r].low, first, first_start, scaled);
                total.products[i] =
                    add_half_products<1>(half, u[r].high, second, second_start, scaled);
            });
        } else {
            unrolled<R>([&](auto r) XLENS_INLINE {
                constexpr std::size_t i = p * R + r;
                const __m256 scaled = _mm256_mul_ps(scales[r], scale);
                total.products[i] =
                    add_products(total.products[i], u[r].low, u[r].high, first, second, scaled);
                total.minima[i] = _mm256_add_ps(total.minima[i], scaled);
            });
        }
    });
}

}  // namespace xlens::kernels::detail

#endif
