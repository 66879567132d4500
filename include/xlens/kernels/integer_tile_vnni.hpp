// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/dot_tile.hpp>
#include <xlens/kernels/integer_dots_vnni.hpp>
#include <xlens/kernels/integer_sums_vnni.hpp>
#include <xlens/kernels/prefetch.hpp>
#include <xlens/kernels/product.hpp>
#include <xlens/kernels/quantised_rows.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/storage/matrix_view.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

// Integer products with several positions: the codes of some rows are taken apart once, to what
// is the same for all formats, and meet the positions there. A format costs a loop that takes a row
// apart, no kernels; sums are those of integer_dots.hpp, to the last bit.

#if XLENS_VNNI

namespace xlens::kernels::detail {

/// Rows taken apart, as quantised_rows has its own: codes u of a byte, four blocks of 32 a group,
/// with eight floats (integer_codes.hpp) each.
struct code_rows {
    std::byte* codes;
    std::size_t codes_a_row;
    float* scales;
    std::size_t scales_a_row;
};

/// Takes a row of `blocks` blocks of 32 apart, and asks for what stands `ahead` bytes further on.
template <class Format>
[[gnu::noinline]] void unpack_codes(const std::byte* w, std::size_t blocks, std::size_t ahead,
                                    std::byte* codes, float* scales) {
    using stored = integer_codes<Format>;
    each_step<Format>(blocks, [&](std::size_t count) XLENS_INLINE {
        const four_blocks in{w, count};
        const group_scales_of<stored::groups> of = scales_of<stored>(in);
        unrolled<stored::groups>([&](auto g) XLENS_INLINE {
            const block_codes u = stored::template codes<g>(in);
            store_codes(u.low, codes);
            store_codes(u.high, codes + input_layout::group / 2);
            _mm256_storeu_ps(scales, of.of[g]);
            codes += input_layout::group;
            scales += input_layout::floats_a_group;
        });
        prefetch(w + ahead, bytes_a_step<Format>);
        w += bytes_a_step<Format>;
    });
}

/// out[p·R + r] = ⟨row rows[r], x_p⟩ of R rows and P positions, `groups` groups of each.
template <product_kind kind, std::size_t R, std::size_t P>
[[gnu::always_inline]] inline void dot_codes(const code_rows& w,
                                             const std::array<std::size_t, R>& rows,
                                             std::size_t groups, rounded_inputs x,
                                             const product_terms& terms, float* out) {
    const std::byte* codes[R];
    const float* scales[R];
    unrolled<R>([&](auto r) XLENS_INLINE {
        codes[r] = w.codes + rows[r] * w.codes_a_row;
        scales[r] = w.scales + rows[r] * w.scales_a_row;
    });
    integer_totals<kind, R * P> total;
    for (std::size_t g = 0; g < groups; ++g) {
        block_codes u[R];
        __m256 of[R];
        unrolled<R>([&](auto r) XLENS_INLINE {
            const auto* from =
                reinterpret_cast<const std::int8_t*>(codes[r] + g * input_layout::group);
            u[r] = {load_inputs(from), load_inputs(from + input_layout::group / 2)};
            of[r] = _mm256_loadu_ps(scales[r] + g * input_layout::floats_a_group);
        });
        meet_group<kind, R, P>(u, of, terms.offset, x, 0, total);
        x.advance(1);
    }
    total.store(terms.minimum_factor, out);
}

/// y(t + p, first + r) of P positions and `count` rows taken apart.
template <product_kind kind, std::size_t P>
[[gnu::noinline]] void meet_codes_of(const code_rows& w, const product& p, std::size_t t,
                                     std::size_t first, std::size_t count,
                                     const product_terms& terms) {
    constexpr std::size_t R = blocking::integer_rows<P>;
    const std::size_t groups = p.quantised->layout().groups();
    const rounded_inputs x(*p.quantised, t);
    for (std::size_t r = 0; r < count; r += R) {
        std::array<std::size_t, R> at;
        for (std::size_t i = 0; i < R; ++i) { at[i] = std::min(r + i, count - 1); }
        std::array<float, R * P> out;
        dot_codes<kind, R, P>(w, at, groups, x, terms, out.data());
        for (std::size_t i = 0; i < P; ++i) {
            put<R>(&out[i * R], p.y[t + i].subspan(first + r, std::min(R, count - r)), false);
        }
    }
}

/// How a format's products with several positions are made.
struct code_format {
    void (*unpack)(const std::byte* w, std::size_t blocks, std::size_t ahead, std::byte* codes,
                   float* scales);
    void (*meet)(const code_rows& w, const product& p, std::size_t first, std::size_t count,
                 const product_terms& terms);
    product_terms terms;
};

/// y(t, first + r) of all positions and `count` rows taken apart.
template <product_kind kind>
void meet_codes(const code_rows& w, const product& p, std::size_t first, std::size_t count,
                const product_terms& terms) {
    std::size_t t = 0;
    const auto meet = [&]<std::size_t P>() {
        for (; t + P <= p.x.count(); t += P) {
            meet_codes_of<kind, P>(w, p, t, first, count, terms);
        }
    };
    meet.template operator()<blocking::integer_positions>();
    meet.template operator()<4>();
    meet.template operator()<2>();
    meet.template operator()<1>();
}

template <class Format>
inline constexpr code_format code_format_of{unpack_codes<Format>,
                                            meet_codes<kind_of<integer_codes<Format>>>,
                                            terms_of<integer_codes<Format>>()};

struct code_rows_buffer;

/// y(t, r) = ⟨S_r, x_t⟩ in integers for `count` stored rows.
inline void integer_dots_by_tiles(const product& p, std::size_t first, std::size_t count,
                                  const code_format& format) {
    const quantised_rows& x = *p.quantised;
    const std::size_t floats_a_row =
        x.layout().codes_a_row() / sizeof(float) + x.layout().floats_a_row();
    const bool few = p.x.count() <= blocking::few_positions;
    const std::size_t height = std::clamp<std::size_t>(
        (few ? blocking::integer_tile_bytes_of_few : blocking::integer_tile_bytes) /
            (floats_a_row * sizeof(float)),
        4, blocking::dot_tile_rows);
    float* buffer = scratch<code_rows_buffer>(height * floats_a_row);
    const code_rows apart{reinterpret_cast<std::byte*>(buffer), x.layout().codes_a_row(),
                          buffer + height * x.layout().codes_a_row() / sizeof(float),
                          x.layout().floats_a_row()};
    const std::size_t ahead =
        blocking::prefetch_groups * 4 * p.weights.row_bytes(p.weights.stored_cols());
    for (std::size_t r = first; r < first + count; r += height) {
        const std::size_t some = std::min(height, first + count - r);
        for (std::size_t i = 0; i < some; ++i) {
            format.unpack(p.weights.stored_row(r + i), p.x.width() / quantised_rows::block, ahead,
                          apart.codes + i * apart.codes_a_row,
                          apart.scales + i * apart.scales_a_row);
        }
        format.meet(apart, p, r, some, format.terms);
    }
}

}  // namespace xlens::kernels::detail

#endif
