// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/input_layout.hpp>
#include <xlens/kernels/integer_codes.hpp>
#include <xlens/kernels/integer_codes_256.hpp>
#include <xlens/kernels/integer_lanes.hpp>
#include <xlens/kernels/quantised_rows.hpp>
#include <xlens/storage/matrix_view.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

// What integer products are sums of, whatever the number of positions and the processor. Blocks of
// 32 are taken eight at a time, a step; block b belongs to a lane, by b mod 8, and the lane's sum
// gets
//   fma(float(Σ u·q), d·s, sum)     then     fma(m, s·Σ q, sum)
// (of halves, both for the first 16 elements, then both for the others; of codes with a sign only
// the first). At last the lanes are added up, neighbours first.

#if XLENS_INTEGER_DOTS

namespace xlens::kernels::detail {

/// What the instructions for a format depend on.
struct product_kind {
    bool halves;  ///< 16 elements have a scale of their own
    int bits;     ///< of a code; where these are 8, it has a sign, and there is no minimum

    [[nodiscard]] constexpr bool has_sign() const { return bits == 8; }
    [[nodiscard]] constexpr std::size_t sums() const { return halves ? 2 : 1; }  ///< a block
    /// Floats of a block of weights: d, and m where there is a minimum, a sum.
    [[nodiscard]] constexpr std::size_t floats() const { return sums() * (has_sign() ? 1 : 2); }
};

/// Where inputs have what m is multiplied by: of a whole block, or of half i.
constexpr std::size_t sum_part(product_kind kind, std::size_t i) {
    return kind.halves ? std::size_t{input_layout::first_sum} + i : std::size_t{input_layout::sum};
}

template <class Stored>
inline constexpr product_kind kind_of{.halves = has_halves<Stored>, .bits = Stored::bits};

/// The d and m of eight blocks of a row, a lane each.
template <product_kind kind>
struct step_scales {
    __m256 d[kind.sums()];
    __m256 m[kind.sums()];  // of codes with a sign: not used
};
/// What a batch has side by side, of each row.
template <class Of>
using of_rows = std::array<Of, rows_a_batch>;

/// A step of a row: eight blocks of 32, or its first four. Lanes whose bits in `there` are not set
/// have no block, and scales of 0; whatever their codes are, they meet inputs of 0.
template <class Format, std::size_t groups, bool masked>
struct step_of_row {
    using stored = integer_codes<Format>;
    static constexpr product_kind kind = kind_of<stored>;
    static constexpr bool of_256 = stored::groups == 2;

    const std::byte* at;
    __m256 there;

    [[gnu::always_inline]] step_scales<kind> scales() const {
        if constexpr (has_scales_at<stored>) {
            constexpr block_layout layout = stored::scales_at;
            if constexpr (layout.codes == 4) {
                const __m256i pairs = load_words<groups, layout.bytes>(at);
                return of_pairs(_mm256_cvtph_ps(_mm256_castsi256_si128(pairs)),
                                _mm256_cvtph_ps(_mm256_extracti128_si256(pairs, 1)));
            } else {
                const __m256 d = _mm256_cvtph_ps(load_halves<groups, layout.bytes>(at));
                return of_parts(d, d);
            }
        } else if constexpr (of_256) {
            const group_scales_of<2> of = stored::scales({at});
            return of_pairs(of.of[0], of.of[1]);
        } else {
            return of_pairs(
                stored::scales({at}).of[0],
                groups == 2 ? stored::scales({at + 4 * Format::bytes}).of[0] : _mm256_setzero_ps());
        }
    }
    template <std::size_t g>
    [[gnu::always_inline]] block_codes codes(std::integral_constant<std::size_t, g>) const {
        if constexpr (of_256) {
            return stored::template codes<g>({at});
        } else if constexpr (g < groups) {
            return stored::template codes<0>({at + 4 * g * Format::bytes});
        } else {
            return block_codes();
        }
    }

private:
    /// Of pairs (integer_codes.hpp) of four blocks and of the next four.
    [[gnu::always_inline]] step_scales<kind> of_pairs(__m256 a, __m256 b) const {
        return of_parts(_mm256_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)),
                        _mm256_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1)));
    }
    /// Of what comes first in each pair, and second.
    [[gnu::always_inline]] step_scales<kind> of_parts(__m256 first, __m256 second) const {
        if constexpr (masked) {
            first = _mm256_and_ps(first, there);
            second = _mm256_and_ps(second, there);
        }
        if constexpr (kind.halves) {
            const __m256 minus = _mm256_set1_ps(-static_cast<float>(stored::offset));
            return {{first, second}, {_mm256_mul_ps(minus, first), _mm256_mul_ps(minus, second)}};
        } else if constexpr (kind.has_sign()) {
            return {{first}, {}};
        } else if constexpr (stored::minimum_factor == 1.0F) {
            return {{first}, {second}};
        } else {
            return {{first}, {_mm256_mul_ps(_mm256_set1_ps(stored::minimum_factor), first)}};
        }
    }
};

/// All bits of the lanes of the first `count` blocks.
[[gnu::always_inline]] inline __m256 lanes_of_blocks(std::size_t count) {
    const __m256i block = _mm256_setr_epi32(0, 1, 4, 5, 2, 3, 6, 7);
    return _mm256_castsi256_ps(
        _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), block));
}

/// Bytes of a step of 4·groups blocks of 32.
template <class Format>
constexpr std::size_t bytes_of_groups(std::size_t groups) {
    return groups * 4 * quantised_rows::block / Format::block * Format::bytes;
}

/// N rows of `blocks` blocks of 32. Up to `limit` memory can be read.
template <std::size_t N>
struct stored_rows {
    std::array<const std::byte*, N> begin;
    std::size_t blocks;
    const std::byte* limit;

    /// Of rows up to `last`; `move_to` says which.
    stored_rows(const matrix_view& w, std::size_t last)
        : blocks(w.stored_cols() / quantised_rows::block),
          limit(w.stored_row(last) + w.row_bytes(w.stored_cols())) {}
    /// On to rows r, r + 4, ...; `last` comes again where there are no more.
    void move_to(const matrix_view& w, std::size_t r, std::size_t last) {
        unrolled<N>([&](auto i) { begin[i] = w.stored_row(std::min(r + 4 * i, last)); });
    }
};

/// Steps of N rows from their bytes w on.
template <class Step, std::size_t N>
[[gnu::always_inline]] inline std::array<Step, N> steps_at(const std::array<const std::byte*, N>& w,
                                                           __m256 there) {
    std::array<Step, N> out;
    unrolled<N>([&](auto i) XLENS_INLINE { out[i] = Step{w[i], there}; });
    return out;
}

/// Calls steps(step_of_row of each row) for every step of some rows.
template <class Format, std::size_t N, class Steps>
[[gnu::always_inline]] inline void each_step(const stored_rows<N>& rows, Steps steps) {
    std::array<const std::byte*, N> w = rows.begin;
    for (std::size_t b = 8; b <= rows.blocks; b += 8) {
        steps(steps_at<step_of_row<Format, 2, false>>(w, __m256()));
        unrolled<N>([&](auto i) XLENS_INLINE { w[i] += bytes_of_groups<Format>(2); });
    }
    if constexpr (Format::block == quantised_rows::block) {
        const std::size_t rest = rows.blocks % 8;
        if (rest == 0) { return; }
        const std::size_t bytes = bytes_of_groups<Format>(rest > 4 ? 2 : 1);
        std::array<std::array<std::byte, bytes_of_groups<Format>(2)>, N> copies;
        unrolled<N>([&](auto i) XLENS_INLINE {
            if (static_cast<std::size_t>(rows.limit - w[i]) < bytes) {
                copies[i].fill(std::byte{0});
                std::memcpy(copies[i].data(), w[i], rest * Format::bytes);
                w[i] = copies[i].data();
            }
        });
        const __m256 there = lanes_of_blocks(rest);
        if (rest > 4) {
            steps(steps_at<step_of_row<Format, 2, true>>(w, there));
        } else {
            steps(steps_at<step_of_row<Format, 1, true>>(w, there));
        }
    }
}

/// The next step of a row of inputs that does not stand by lanes.
struct step_of_inputs {
    const std::int8_t* codes;
    const float* floats;
    std::size_t places;

    step_of_inputs(const quantised_rows& x, std::size_t t)
        : codes(x.codes(t)), floats(x.floats(t)), places(x.layout().places()) {}

    [[gnu::always_inline]] batch of(std::size_t part) const {
        return for_each_row(floats + part * places);
    }
    [[gnu::always_inline]] void advance() {
        codes += std::size_t{2} * 128;
        floats += input_layout::blocks_a_step;
    }
};

/// Σ u·q of four blocks, group g of a step, in some lanes each: dot_four of integer_lanes.hpp.
template <product_kind kind>
struct group_sums {
    block_sums of[kind.sums()];

    group_sums() = default;
    [[gnu::always_inline]] group_sums(const block_codes& u, const std::int8_t* q) {
        const code_lanes first = load_inputs(q);
        const code_lanes second = load_inputs(q + 64);
        if constexpr (kind.halves) {
            of[0] = dot_four<kind.bits, 1>({u.low}, {first});
            of[1] = dot_four<kind.bits, 1>({u.high}, {second});
        } else {
            of[0] = dot_four<kind.bits, 2>({u.low, u.high}, {first, second});
        }
    }
};

/// The same of the rows of a batch.
template <product_kind kind>
struct scales_of_rows {
    batch d[kind.sums()];
    batch m[kind.sums()];  // of codes with a sign: not used
};
template <product_kind kind>
[[gnu::always_inline]] inline scales_of_rows<kind> side_by_side(
    const of_rows<step_scales<kind>>& rows) {
    scales_of_rows<kind> out;
    unrolled<kind.sums()>([&](auto i) XLENS_INLINE {
        __m256 d[rows_a_batch];
        __m256 m[rows_a_batch];
        unrolled<rows_a_batch>([&](auto r) XLENS_INLINE {
            d[r] = rows[r].d[i];
            m[r] = rows[r].m[i];
        });
        out.d[i] = side_by_side(d);
        if constexpr (!kind.has_sign()) { out.m[i] = side_by_side(m); }
    });
    return out;
}

/// A step's products are added to the lanes of the rows of a batch.
template <product_kind kind>
[[gnu::always_inline]] inline batch add_step(batch sum, const of_rows<group_sums<kind>>& front,
                                             const of_rows<group_sums<kind>>& back,
                                             const scales_of_rows<kind>& w,
                                             const step_of_inputs& x) {
    constexpr std::size_t halves = kind.halves ? 1 : 2;
    const batch s = x.of(input_layout::scale);
    unrolled<kind.sums()>([&](auto i) XLENS_INLINE {
        block_sums a[rows_a_batch];
        block_sums b[rows_a_batch];
        unrolled<rows_a_batch>([&](auto r) XLENS_INLINE {
            a[r] = front[r].of[i];
            b[r] = back[r].of[i];
        });
        batch_of_ints dots = join_fours<kind.bits, halves>(a, b);
        if constexpr (kind.has_sign() && raises_codes) {
            dots = dots - as_ints(x.of(input_layout::raised_sum));
        }
        sum = multiply_add(xsimd::to_float(dots), w.d[i] * s, sum);
        if constexpr (!kind.has_sign()) {
            sum = multiply_add(w.m[i], x.of(sum_part(kind, i)), sum);
        }
    });
    return sum;
}

}  // namespace xlens::kernels::detail

#endif
