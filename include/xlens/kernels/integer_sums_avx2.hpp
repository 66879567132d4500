// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/input_layout.hpp>
#include <xlens/kernels/integer_codes.hpp>
#include <xlens/kernels/integer_codes_256.hpp>
#include <xlens/kernels/integer_lanes.hpp>
#include <xlens/kernels/quantised_rows.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

// What integer products with AVX2 are sums of, whatever the number of positions. Blocks of 32 are
// taken eight at a time, a step; block b belongs to a lane, by b mod 8, and the lane's sum gets
//   fma(float(Σ u·q), d·s, sum)     then     fma(m, s·Σ q, sum)
// (of halves, both for the first 16 elements, then both for the others; of codes with a sign only
// the first). At last the lanes are added up, neighbours first.

#if XLENS_INTEGER_AVX2

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

template <class Stored>
inline constexpr product_kind kind_of{.halves = has_halves<Stored>, .bits = Stored::bits};

/// The d and m of eight blocks, a lane each.
template <product_kind kind>
struct step_scales {
    __m256 d[kind.sums()];
    __m256 m[kind.sums()];  // of codes with a sign: not used
};

/// A step of a row: eight blocks of 32, of which `count` are there.
template <class Format>
struct step_of_row {
    using stored = integer_codes<Format>;
    static constexpr product_kind kind = kind_of<stored>;
    static constexpr std::size_t bytes = 8 * 32 / Format::block * Format::bytes;
    static constexpr bool of_256 = stored::groups == 2;

    const std::byte* at;
    std::size_t count;

    [[gnu::always_inline]] step_scales<kind> scales() const {
        const __m256 zero = _mm256_setzero_ps();
        if constexpr (of_256) {
            const group_scales_of<2> of = stored::scales({at});
            return in_lanes(of.of[0], of.of[1]);
        } else {
            return in_lanes(stored::scales(four(0)).of[0],
                            count > 4 ? stored::scales(four(1)).of[0] : zero);
        }
    }
    template <std::size_t g>
    [[gnu::always_inline]] block_codes codes() const {
        if constexpr (of_256) {
            return stored::template codes<g>({at});
        } else {
            return stored::template codes<0>(four(g));
        }
    }

private:
    [[gnu::always_inline]] four_blocks four(std::size_t g) const {
        constexpr std::size_t together = 4;
        return {at + g * together * Format::bytes,
                std::min(together, count - std::min(count, g * together))};
    }
    /// Of pairs (integer_codes.hpp) of four blocks and of the next four.
    [[gnu::always_inline]] static step_scales<kind> in_lanes(__m256 a, __m256 b) {
        const __m256 even = _mm256_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0));
        const __m256 odd = _mm256_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1));
        if constexpr (kind.halves) {
            const __m256 minus = _mm256_set1_ps(-static_cast<float>(stored::offset));
            return {{even, odd}, {_mm256_mul_ps(minus, even), _mm256_mul_ps(minus, odd)}};
        } else if constexpr (kind.has_sign()) {
            return {{even}, {}};
        } else if constexpr (stored::minimum_factor == 1.0F) {
            return {{even}, {odd}};
        } else {
            return {{even}, {_mm256_mul_ps(_mm256_set1_ps(stored::minimum_factor), even)}};
        }
    }
};

/// Calls step(count) for every step of a row of `blocks` blocks of 32.
template <class Format, class Step>
[[gnu::always_inline]] inline void each_step(std::size_t blocks, Step step) {
    constexpr std::size_t together = input_layout::blocks_a_step;
    for (std::size_t b = 0; b + together <= blocks; b += together) { step(together); }
    if constexpr (Format::block == quantised_rows::block) {
        if (blocks % together > 0) { step(blocks % together); }
    }
}

/// The next step of a row of inputs that does not stand by lanes.
struct step_of_inputs {
    const std::int8_t* codes;
    const float* floats;
    std::size_t places;

    step_of_inputs(const quantised_rows& x, std::size_t t)
        : codes(x.codes(t)), floats(x.floats(t)), places(x.layout().places()) {}

    [[gnu::always_inline]] __m256 of(std::size_t part) const {
        return _mm256_loadu_ps(floats + part * places);
    }
    [[gnu::always_inline]] void advance() {
        codes += std::size_t{2} * 128;
        floats += input_layout::blocks_a_step;
    }
};

/// Σ u·q of four blocks, group g of a step, in some lanes each: dot_four of integer_lanes_avx2.hpp.
template <product_kind kind>
struct group_sums {
    __m256i of[kind.sums()];

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

/// A step's products are added to the lanes.
template <product_kind kind>
[[gnu::always_inline]] inline __m256 add_step(__m256 sum, const group_sums<kind>& front,
                                              const group_sums<kind>& back,
                                              const step_scales<kind>& w, const step_of_inputs& x) {
    constexpr std::size_t halves = kind.halves ? 1 : 2;
    const __m256 s = x.of(input_layout::scale);
    unrolled<kind.sums()>([&](auto i) XLENS_INLINE {
        const __m256i dots = join_fours<kind.bits, halves>(front.of[i], back.of[i]);
        sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots), _mm256_mul_ps(w.d[i], s), sum);
        if constexpr (!kind.has_sign()) {
            const __m256 sums = x.of(kind.halves ? input_layout::first_sum + i : input_layout::sum);
            sum = _mm256_fmadd_ps(w.m[i], sums, sum);
        }
    });
    return sum;
}

}  // namespace xlens::kernels::detail

#endif
