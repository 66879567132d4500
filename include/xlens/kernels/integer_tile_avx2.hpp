// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/core/unroll.hpp>
#include <xlens/kernels/integer_rows_avx2.hpp>
#include <xlens/kernels/integer_sums_avx2.hpp>
#include <xlens/kernels/integer_turned_avx2.hpp>
#include <xlens/kernels/product.hpp>
#include <xlens/kernels/quantised_rows.hpp>
#include <xlens/kernels/scratch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

// Integer products of many positions with AVX2: eight turned rows (integer_turned_avx2.hpp) at once
// meet four codes of an input after the other. No lanes are added up, and products of a block stay
// in 16 bits as long as they fit. Sums are those of integer_sums_avx2.hpp, to the last bit: blocks
// come lane by lane, in the order in which input_layout has those of the inputs.

#if XLENS_INTEGER_AVX2

namespace xlens::kernels::detail {

/// P rows of inputs that stand by lanes.
struct inputs_by_lanes {
    const std::int8_t* codes;
    const float* floats;
    std::size_t codes_a_row;
    std::size_t floats_a_row;
    std::size_t places;

    inputs_by_lanes(const quantised_rows& x, std::size_t t)
        : codes(x.codes(t)),
          floats(x.floats(t)),
          codes_a_row(x.layout().codes_a_row()),
          floats_a_row(x.layout().floats_a_row()),
          places(x.layout().places()) {}

    /// Step k of four codes of the block that is at hand, of row p.
    [[gnu::always_inline]] __m256i four_codes(std::size_t p, std::size_t k) const {
        std::int32_t four = 0;
        std::memcpy(&four, codes + p * codes_a_row + 4 * k, sizeof four);
        return _mm256_set1_epi32(four);
    }
    [[gnu::always_inline]] __m256 of(std::size_t p, std::size_t part) const {
        return _mm256_broadcast_ss(floats + p * floats_a_row + part * places);
    }
    [[gnu::always_inline]] void advance() {
        codes += quantised_rows::block;
        floats += 1;
    }
};

/// dots[i·P + p] = Σ u·q of register i and position p over steps first to last - 1 of a block.
template <product_kind kind, std::size_t P, std::size_t first, std::size_t last>
[[gnu::always_inline]] inline void dot_steps(const std::int8_t* w, const inputs_by_lanes& x,
                                             __m256i (&dots)[2 * P]) {
    constexpr int bits = in_planes(kind) ? 4 : kind.bits;
    constexpr bool narrow = fit_16(bits, 4);
    constexpr std::size_t fit = !narrow || fit_16(bits, 16) ? 8 : fit_16(bits, 8) ? 4 : 2;
    constexpr std::size_t together = std::min(fit, last - first);
    unrolled<(last - first) / together>([&](auto part) XLENS_INLINE {
        __m256i sums[2 * P];
        unrolled<2 * P>([&](auto i) XLENS_INLINE { sums[i] = _mm256_setzero_si256(); });
        unrolled<together>([&](auto step) XLENS_INLINE {
            constexpr std::size_t k = first + part * together + step;
            const auto* from = reinterpret_cast<const __m256i*>(w + k * 2 * 32);
            __m256i u[2] = {_mm256_loadu_si256(from), _mm256_loadu_si256(from + 1)};
            keep_in_register(u[0]);
            keep_in_register(u[1]);
            unrolled<P>([&](auto p) XLENS_INLINE {
                const __m256i q = x.four_codes(p, k);
                unrolled<2>([&](auto i) XLENS_INLINE {
                    sums[i * P + p] = add_unsigned_dot<narrow>(sums[i * P + p], u[i], q);
                    keep_in_register(sums[i * P + p]);  // g++ 12 would add them up at last
                });
            });
        });
        unrolled<2 * P>([&](auto i) XLENS_INLINE {
            const __m256i sum = narrow ? widened(sums[i]) : sums[i];
            dots[i] = part == 0 ? sum : _mm256_add_epi32(dots[i], sum);
        });
    });
}

/// What a block adds to sums[g·P + p] of row group g and position p.
template <product_kind kind, std::size_t P>
[[gnu::always_inline]] inline void add_block(const std::int8_t* w, const float* scales,
                                             const inputs_by_lanes& x,
                                             __m256 (&sums)[tile_of<kind>::groups * P]) {
    constexpr std::size_t G = tile_of<kind>::groups;
    unrolled<kind.sums()>([&](auto half) XLENS_INLINE {
        constexpr std::size_t steps = 8 / kind.sums();
        __m256i dots[2 * P];
        dot_steps<kind, P, half * steps, half * steps + steps>(w, x, dots);
        constexpr std::size_t part = kind.floats() / kind.sums() * half;
        unrolled<P>([&](auto p) XLENS_INLINE {
            const __m256 s = x.of(p, input_layout::scale);
            unrolled<G>([&](auto g) XLENS_INLINE {
                __m256i dot = dots[g * P + p];
                if constexpr (in_planes(kind)) {
                    dot = _mm256_add_epi32(dot, _mm256_slli_epi32(dots[P + p], 4));
                }
                if constexpr (kind.has_sign()) {
                    const __m256i sum = _mm256_castps_si256(x.of(p, input_layout::whole_sum));
                    dot = _mm256_sub_epi32(dot, _mm256_slli_epi32(sum, 7));
                }
                __m256& to = sums[g * P + p];
                const __m256 d = _mm256_loadu_ps(scales + (part * G + g) * 8);
                to = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), _mm256_mul_ps(d, s), to);
                if constexpr (!kind.has_sign()) {
                    const __m256 m = _mm256_loadu_ps(scales + ((part + 1) * G + g) * 8);
                    to = _mm256_fmadd_ps(m, x.of(p, sum_part(kind, half)), to);
                }
            });
        });
    });
}

/// Lanes that are added up as they come: neighbours, then twos, then fours.
template <std::size_t N>
struct sums_of_lanes {
    __m256 waiting[4][N];  // one lane, two, four; all eight

    void add(std::size_t lane, __m256 (&sums)[N]) {
        std::size_t level = 0;
        for (; (lane >> level & 1U) != 0; ++level) {
            unrolled<N>([&](auto i)
                            XLENS_INLINE { sums[i] = _mm256_add_ps(waiting[level][i], sums[i]); });
        }
        unrolled<N>([&](auto i) XLENS_INLINE { waiting[level][i] = sums[i]; });
    }
};

/// y(t + p, first + r) of P positions and the `count` rows of a tile.
template <product_kind kind, std::size_t P>
[[gnu::noinline]] void meet_tile(const code_tile<kind>& w, const product& p, std::size_t t,
                                 std::size_t first, std::size_t count) {
    using tile = tile_of<kind>;
    constexpr std::size_t N = tile::groups * P;
    inputs_by_lanes x(*p.quantised, t);
    const std::int8_t* codes = w.codes();
    const float* floats = w.floats();
    sums_of_lanes<N> total;
    for (std::size_t lane = 0; lane < 8; ++lane) {
        __m256 sums[N];
        unrolled<N>([&](auto i) XLENS_INLINE { sums[i] = _mm256_setzero_ps(); });
        for (std::size_t b = w.layout().blocks_in_lane(lane); b > 0; --b) {
            add_block<kind, P>(codes, floats, x, sums);
            codes += tile::codes_a_block;
            floats += tile::floats_a_block;
            x.advance();
        }
        total.add(lane, sums);
    }
    unrolled<N>([&](auto i) XLENS_INLINE {
        constexpr std::size_t r = i / P * 8;
        float* y = p.y[t + i % P].data() + first + r;
        if (r + 8 <= count) {
            _mm256_storeu_ps(y, total.waiting[3][i]);
        } else if (r < count) {
            alignas(32) float out[8];
            _mm256_store_ps(out, total.waiting[3][i]);
            std::copy_n(out, count - r, y);
        }
    });
}

struct tile_buffer;

/// y(t, r) = ⟨S_r, x_t⟩ in integers of more than a few positions and `count` stored rows.
template <product_kind kind>
void integer_dots_of_many(const product& p, std::size_t first, std::size_t count,
                          take_apart_row apart) {
    using tile = tile_of<kind>;
    const std::size_t blocks = p.x.width() / quantised_rows::block;
    const apart_rows room(*p.quantised, kind, 8);
    float* buffer = scratch<tile_buffer>(code_tile<kind>::floats_of(blocks));
    code_tile<kind> w(p.quantised->layout(), blocks, reinterpret_cast<std::int8_t*>(buffer),
                      buffer + blocks * tile::codes_a_block / sizeof(float));
    for (std::size_t r = 0; r < count; r += tile::rows) {
        for (std::size_t g = 0; g < tile::groups; ++g) {
            for (std::size_t i = 0; i < 8; ++i) {
                const std::size_t at = std::min(r + 8 * g + i, count - 1);
                apart(row_at(p.weights, first + at, first + count - 1), room[i]);
            }
            w.put(room, g);
        }
        const std::size_t some = std::min(tile::rows, count - r);
        std::size_t t = 0;
        for (; t + 4 <= p.x.count(); t += 4) { meet_tile<kind, 4>(w, p, t, first + r, some); }
        for (; t + 2 <= p.x.count(); t += 2) { meet_tile<kind, 2>(w, p, t, first + r, some); }
        for (; t < p.x.count(); ++t) { meet_tile<kind, 1>(w, p, t, first + r, some); }
    }
}

template <class Format>
inline constexpr code_format code_format_of{take_apart<Format>,
                                            integer_dots_of_few<kind_of<integer_codes<Format>>>,
                                            integer_dots_of_many<kind_of<integer_codes<Format>>>};

/// y(t, r) = ⟨S_r, x_t⟩ in integers for `count` stored rows.
inline void integer_dots_by_tiles(const product& p, std::size_t first, std::size_t count,
                                  const code_format& format) {
    const bool few = p.x.count() <= blocking::few_integer_positions;
    (few ? format.few : format.many)(p, first, count, format.apart);
}

}  // namespace xlens::kernels::detail

#endif
