// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/integer_rows.hpp>
#include <xlens/kernels/integer_sums.hpp>
#include <xlens/kernels/integer_turned.hpp>
#include <xlens/kernels/lanes.hpp>
#include <xlens/kernels/product.hpp>
#include <xlens/kernels/quantised_rows.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/storage/formats/floats.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

// Integer products of many positions: turned rows (integer_turned.hpp), one to each lane, meet four
// codes of an input after the other. No lanes are added up, and with AVX2 products of a block stay
// in 16 bits as long as they fit. Sums are those of integer_sums.hpp, to the last bit: blocks come
// lane by lane, in the order in which input_layout has those of the inputs.

#if XLENS_INTEGER_DOTS

namespace xlens::kernels::detail {

/// Register i of a step of four codes.
[[gnu::always_inline]] inline batch_of_ints load_codes_of_rows(const std::int8_t* step,
                                                               std::size_t i) {
    return batch_of_ints::load_unaligned(
        reinterpret_cast<const std::int32_t*>(step + i * sizeof(batch)));
}

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
    [[gnu::always_inline]] batch_of_ints four_codes(std::size_t p, std::size_t k) const {
        const std::int8_t* at = codes + p * codes_a_row + 4 * k;
        return batch_of_ints(load_unaligned<std::int32_t>(reinterpret_cast<const std::byte*>(at)));
    }
    [[gnu::always_inline]] batch of(std::size_t p, std::size_t part) const {
        return batch(floats[p * floats_a_row + part * places]);
    }
    [[gnu::always_inline]] void advance() {
        codes += quantised_rows::block;
        floats += 1;
    }
};

/// dots[i·P + p] = Σ u·q of register i and position p over steps first to last - 1 of a block.
template <product_kind kind, std::size_t P, std::size_t first, std::size_t last>
[[gnu::always_inline]] inline void dot_steps(const std::int8_t* w, const inputs_by_lanes& x,
                                             batch_of_ints (&dots)[2 * P]) {
    constexpr int bits = in_planes(kind) ? 4 : kind.bits;
    constexpr bool narrow = fit_16(bits, 4);
    constexpr std::size_t fit = !narrow || fit_16(bits, 16) ? 8 : fit_16(bits, 8) ? 4 : 2;
    constexpr std::size_t together = std::min(fit, last - first);
    unrolled<(last - first) / together>([&](auto part) XLENS_INLINE {
        batch_of_ints sums[2 * P];
        unrolled<2 * P>([&](auto i) XLENS_INLINE { sums[i] = batch_of_ints(0); });
        unrolled<together>([&](auto step) XLENS_INLINE {
            constexpr std::size_t k = first + part * together + step;
            batch_of_ints u[2];
            unrolled<2>([&](auto i) XLENS_INLINE {
                u[i] = load_codes_of_rows(w + k * tile_of<kind>::codes_a_step, i);
                keep_in_register(u[i].data);
            });
            unrolled<P>([&](auto p) XLENS_INLINE {
                const batch_of_ints q = x.four_codes(p, k);
                unrolled<2>([&](auto i) XLENS_INLINE {
                    batch_of_ints& sum = sums[i * P + p];
                    sum = add_unsigned_dot<narrow>(sum.data, u[i].data, q.data);
                    keep_in_register(sum.data);  // g++ 12 would add them up at last
                });
            });
        });
        unrolled<2 * P>([&](auto i) XLENS_INLINE {
            const batch_of_ints sum = sum_in_32_bits<narrow>(sums[i].data);
            dots[i] = part == 0 ? sum : dots[i] + sum;
        });
    });
}

/// What a block adds to sums[g·P + p] of row group g and position p.
template <product_kind kind, std::size_t P>
[[gnu::always_inline]] inline void add_block(const std::int8_t* w, const float* scales,
                                             const inputs_by_lanes& x,
                                             batch (&sums)[tile_of<kind>::groups * P]) {
    using tile = tile_of<kind>;
    unrolled<kind.sums()>([&](auto half) XLENS_INLINE {
        constexpr std::size_t steps = 8 / kind.sums();
        batch_of_ints dots[2 * P];
        dot_steps<kind, P, half * steps, half * steps + steps>(w, x, dots);
        const float* of_half = scales + kind.floats() / kind.sums() * half * tile::rows;
        unrolled<P>([&](auto p) XLENS_INLINE {
            const batch s = x.of(p, input_layout::scale);
            unrolled<tile::groups>([&](auto g) XLENS_INLINE {
                batch_of_ints dot = dots[g * P + p];
                if constexpr (in_planes(kind)) { dot = dot + (dots[P + p] << 4); }
                if constexpr (kind.has_sign()) {
                    dot = dot - as_ints(x.of(p, input_layout::raised_sum));
                }
                batch& to = sums[g * P + p];
                const batch d = batch::load_unaligned(of_half + g * lanes);
                to = multiply_add(xsimd::to_float(dot), d * s, to);
                if constexpr (!kind.has_sign()) {
                    const batch m = batch::load_unaligned(of_half + tile::rows + g * lanes);
                    to = multiply_add(m, x.of(p, sum_part(kind, half)), to);
                }
            });
        });
    });
}

/// Lanes that are added up as they come: neighbours, then twos, then fours.
template <std::size_t N>
struct sums_of_lanes {
    batch waiting[4][N];  // one lane, two, four; all eight

    void add(std::size_t lane, batch (&sums)[N]) {
        std::size_t level = 0;
        for (; (lane >> level & 1U) != 0; ++level) {
            unrolled<N>([&](auto i) XLENS_INLINE { sums[i] = waiting[level][i] + sums[i]; });
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
    for (std::size_t lane = 0; lane < input_layout::blocks_a_step; ++lane) {
        batch sums[N];
        unrolled<N>([&](auto i) XLENS_INLINE { sums[i] = batch(0.0F); });
        for (std::size_t b = w.layout().blocks_in_lane(lane); b > 0; --b) {
            add_block<kind, P>(codes, floats, x, sums);
            codes += tile::codes_a_block;
            floats += tile::floats_a_block;
            x.advance();
        }
        total.add(lane, sums);
    }
    unrolled<N>([&](auto i) XLENS_INLINE {
        constexpr std::size_t r = i / P * lanes;
        float* y = p.y[t + i % P].data() + first + r;
        if (r + lanes <= count) {
            total.waiting[3][i].store_unaligned(y);
        } else if (r < count) {
            store_partial(total.waiting[3][i], y, count - r);
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
    stored_rows<1> row(p.weights, first + count - 1);
    for (std::size_t r = 0; r < count; r += tile::rows) {
        for (std::size_t g = 0; g < tile::rows; g += 8) {
            for (std::size_t i = 0; i < 8; ++i) {
                row.move_to(p.weights, first + r + g + i, first + count - 1);
                apart(row, room[i]);
            }
            w.put(room, g);
        }
        const std::size_t some = std::min(tile::rows, count - r);
        std::size_t t = 0;
        const auto meet = [&]<std::size_t P>() {
            for (; t + P <= p.x.count(); t += P) { meet_tile<kind, P>(w, p, t, first + r, some); }
        };
        meet.template operator()<blocking::integer_positions>();
        if constexpr (blocking::integer_positions > 4) { meet.template operator()<4>(); }
        meet.template operator()<2>();
        meet.template operator()<1>();
    }
}

}  // namespace xlens::kernels::detail

#endif
