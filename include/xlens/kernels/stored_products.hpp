// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/dot_tile.hpp>
#include <xlens/kernels/packed_inputs.hpp>
#include <xlens/kernels/panel_tile.hpp>
#include <xlens/kernels/prefetch.hpp>
#include <xlens/kernels/product.hpp>
#include <xlens/kernels/sum_tile.hpp>
#include <xlens/storage/formats.hpp>
#include <xlens/storage/matrix.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <type_traits>

// What a product (product.hpp) computes for some of its outputs, by the way in which the weights
// are stored: stored rows meet inputs in f32 (in integers: integer_dots.hpp), or are added up.

namespace xlens::kernels::detail {

/// Where the stored rows at(0), ..., at(R - 1) begin.
template <std::size_t R, class At>
std::array<const std::byte*, R> stored_rows_at(const matrix_view& w, At at) {
    std::array<const std::byte*, R> out;
    for (std::size_t i = 0; i < R; ++i) { out[i] = w.stored_row(at(i)); }
    return out;
}

/// What follows on `height` stored rows from r on and their elements from i on: their next
/// elements or, where all n were there, the next rows.
inline coming_rows part_after(const matrix_view& w, std::size_t r, std::size_t height,
                              std::size_t i, std::size_t n) {
    const bool same_rows = i + blocking::depth < n;
    const std::size_t begin = same_rows ? i + blocking::depth : 0;
    const std::size_t bytes = w.row_bytes(std::min(blocking::depth, n - begin));
    return {w.stored_row(same_rows ? r : r + height) + w.row_bytes(begin), height, bytes,
            w.row_bytes(w.stored_cols())};
}

/// y(t, r) = ⟨S_r, x_t⟩ for `count` stored rows S_r and packed inputs.
inline void dots_by_panels(const product& p, std::size_t first, std::size_t count) {
    const std::size_t n = p.x.width();
    for (std::size_t r = first; r < first + count; r += blocking::dot_tile_rows) {
        const std::size_t some = std::min(blocking::dot_tile_rows, first + count - r);
        for (std::size_t i = 0; i < n; i += blocking::depth) {
            const panel_tile rows_of_w(p.weights, r, some, i, std::min(blocking::depth, n - i));
            rows_of_w.meet(*p.packed, i, p.y.columns(r, some), i > 0);
        }
    }
}

/// y(t, r) = ⟨S_r, x_t⟩ for `count` stored rows S_r, whose elements meet all positions once
/// decoded.
inline void dots_by_tiles(const product& p, std::size_t first, std::size_t count) {
    if (p.packed) { return dots_by_panels(p, first, count); }
    const std::size_t n = p.x.width();
    const bool few = p.x.count() <= blocking::few_positions;
    const std::size_t height = few ? blocking::dot_tile_rows_of_few : blocking::dot_tile_rows;
    const std::size_t ahead = few ? blocking::prefetch_groups * height : 0;
    for (std::size_t r = first; r < first + count; r += height) {
        const std::size_t some = std::min(height, first + count - r);
        for (std::size_t i = 0; i < n; i += blocking::depth) {
            const std::size_t depth = std::min(blocking::depth, n - i);
            const dot_tile rows_of_w(p.weights, r, some, i, depth, ahead);
            const coming_rows next = few ? coming_rows() : part_after(p.weights, r, height, i, n);
            rows_of_w.meet(p.x.columns(i, depth), p.y.columns(r, some), i > 0, next);
        }
    }
}

struct some_rows_buffer;

/// y(i) = ⟨S_ids[i], x⟩ of rows that are decoded first: the bits of dots_by_tiles.
inline void dot_some_decoded_rows(const matrix_view& w, std::span<const std::size_t> ids,
                                  std::span<const float> x, std::span<float> y) {
    constexpr std::size_t R = blocking::dot_rows_of_one;
    float* buffer = scratch<some_rows_buffer>(R * blocking::depth);
    for (std::size_t i = 0; i < ids.size(); i += R) {
        const std::size_t some = std::min(R, ids.size() - i);
        for (std::size_t begin = 0; begin < x.size(); begin += blocking::depth) {
            const std::size_t n = std::min(blocking::depth, x.size() - begin);
            const rows<float> decoded(buffer, some, n, blocking::depth);
            for (std::size_t j = 0; j < some; ++j) { w.decode(ids[i + j], begin, decoded[j]); }
            dot_tile(decoded).meet(as_rows(x.subspan(begin, n)), as_rows(y.subspan(i, some)),
                                   begin > 0);
        }
    }
}

/// Of any format, what dots_in_registers is.
template <std::size_t R>
using register_kernel = void (*)(std::array<const std::byte*, R>, std::size_t, rows<const float>,
                                 rows<float>);

/// y(t, r) = ⟨S_(first + r), x_t⟩ by `dots`, which meets R rows at once.
template <std::size_t R>
void inputs_meet_rows(const product& p, std::size_t first, std::size_t count,
                      register_kernel<R> dots) {
    const std::size_t ahead =
        blocking::prefetch_groups * R * p.weights.row_bytes(p.weights.stored_cols());
    for (std::size_t r = first; r < first + count; r += R) {
        const std::size_t some = std::min(R, first + count - r);
        const auto at = [&](std::size_t i) { return r + std::min(i, some - 1); };
        dots(stored_rows_at<R>(p.weights, at), ahead, p.x, p.y.columns(r, some));
    }
}

/// Formats of which two positions meet rows in registers: those that most files are made of, as
/// each takes longer to compile than one position's kernel does. Measured on Zen 3, one thread: two
/// positions in 1.05 to 1.25 of the time of one, where rows decoded into memory take 1.5 to 1.7.
template <class Format>
inline constexpr bool pairs_in_registers =
    std::disjunction_v<std::is_same<Format, q4_0>, std::is_same<Format, q4_1>,
                       std::is_same<Format, q5_0>, std::is_same<Format, q8_0>,
                       std::is_same<Format, q4_k>, std::is_same<Format, q6_k>>;

/// y(t, r) = ⟨S_r, x_t⟩ for `count` stored rows S_r: one position meets them in registers, of some
/// formats two.
template <class Format>
void stored_dots(const product& p, std::size_t first, std::size_t count) {
    constexpr std::size_t R = blocking::matvec_rows<Format>;
    if (p.x.count() == 1) {
        return inputs_meet_rows<R>(p, first, count, dots_in_registers<Format, R, 1>);
    }
    if constexpr (pairs_in_registers<Format>) {
        if (p.x.count() == 2) {
            return inputs_meet_rows<R>(p, first, count, dots_in_registers<Format, R, 2>);
        }
    }
    dots_by_tiles(p, first, count);
}

/// y(i) = ⟨S_ids[i], x⟩ by `dots`.
template <std::size_t R>
void vector_meets_some_rows(const matrix_view& w, std::span<const std::size_t> ids,
                            std::span<const float> x, std::span<float> y, register_kernel<R> dots) {
    const std::size_t row_bytes = w.row_bytes(w.stored_cols());
    for (std::size_t i = 0; i < ids.size(); i += R) {
        for (std::size_t j = i + R; j < std::min(i + 2 * R, ids.size()); ++j) {
            prefetch(w.stored_row(ids[j]), row_bytes);
        }
        const std::size_t some = std::min(R, ids.size() - i);
        const auto at = [&](std::size_t j) { return ids[i + std::min(j, some - 1)]; };
        dots(stored_rows_at<R>(w, at), 0, as_rows(x), as_rows(y.subspan(i, some)));
    }
}

/// y(t, c) = Σ_r x(t, r)·S(r, c) over the stored rows S_r, for `count` columns c.
inline void stored_sums(const product& p, std::size_t first, std::size_t count) {
    const rows<float> out = p.y.columns(first, count);
    for (std::size_t t = 0; t < out.count(); ++t) { std::fill(out[t].begin(), out[t].end(), 0.0F); }
    for (std::size_t r = 0; r < p.weights.stored_rows(); r += blocking::sum_tile_rows) {
        const std::size_t some = std::min(blocking::sum_tile_rows, p.weights.stored_rows() - r);
        const sum_tile rows_of_w(p.weights, r, some, first, count);
        rows_of_w.add_to(p.x.columns(r, some), out);
    }
}

}  // namespace xlens::kernels::detail
