// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/function_ref.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/dot_tile.hpp>
#include <xlens/kernels/prefetch.hpp>
#include <xlens/kernels/product.hpp>
#include <xlens/kernels/quantised_rows.hpp>
#include <xlens/kernels/stored_products.hpp>
#include <xlens/kernels/sum_tile.hpp>
#include <xlens/storage/any_matrix.hpp>
#include <xlens/storage/matrix.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>

// Products with a stored weight matrix W of shape (rows, cols), for a batch of T positions:
//   matmul             y_t = W·x_t     x (T, cols), y (T, rows)
//   matmul_transposed  y_t = Wᵀ·x_t    x (T, rows), y (T, cols)
// A stored row either meets a whole input (a dot product an output) or is scaled by one element of
// it (a sum of rows); which of the two a product is depends on the storage order alone.
// Each output element is reduced by one thread in one fixed order, the same for any T, number of
// threads and alignment: a prefill gives the bits of a decode.

namespace xlens::kernels {

namespace detail {

/// How a format is multiplied: what of a product knows it.
struct dot_kernel {
    void (*compute)(const product&, std::size_t first, std::size_t count);
    bool integer = false;
};
template <class Format>
dot_kernel dot_kernel_of([[maybe_unused]] precision how) {
#if XLENS_INTEGER_DOTS
    if constexpr (has_integer_dots<Format>) {
        if (how == precision::native) { return {stored_integer_dots<Format>, true}; }
    }
#endif
    return {stored_dots<Format>};
}
template <class Format>
dot_kernel dot_kernel_of(const matrix<Format>&) {
    return dot_kernel_of<Format>(precision::f32);
}
inline dot_kernel dot_kernel_of(const any_matrix& w) {
    return w.visit([&]<class Format>(const matrix<Format>&) {
        return dot_kernel_of<Format>(w.computed_in());
    });
}

/// `transpose` says whether Wᵀ multiplies; the storage order decides what that is.
inline product make_product(const matrix_view& w, rows<const float> x, rows<float> y,
                            bool transpose, const dot_kernel& dots) {
    product out{.outputs = y.width(), .x = x, .y = y, .weights = w};
    if (w.transposed() == transpose) {
        out.tile_size = blocking::dot_tile_rows;
        out.compute = dots.compute;
        out.integer = dots.integer;
    } else {
        out.tile_size = std::max(w.block(), sum_columns);
        out.compute = stored_sums;
    }
    out.work_per_tile = 2 * out.tile_size * x.width() * x.count();
    return out;
}

/// In debug builds: x must have `inputs` columns and y `outputs`, and both as many rows.
inline void check_shapes([[maybe_unused]] std::size_t outputs, [[maybe_unused]] std::size_t inputs,
                         [[maybe_unused]] rows<const float> x, [[maybe_unused]] rows<float> y) {
#ifndef NDEBUG
    if (x.width() != inputs || y.width() != outputs || x.count() != y.count()) {
        fail("matmul: x ({}, {}) and y ({}, {}), expected x (T, {}) and y (T, {})", x.count(),
             x.width(), y.count(), y.width(), inputs, outputs);
    }
#endif
}

}  // namespace detail

/// The product y_t = W·x_t for every row x_t of x. x (T, cols), y (T, rows). Borrows x, y and the
/// bytes of W.
template <class Weights>
product make_product(const Weights& w, rows<const float> x, rows<float> y) {
    detail::check_shapes(w.rows(), w.cols(), x, y);
    return detail::make_product(w, x, y, false, detail::dot_kernel_of(w));
}
/// The product y_t = Wᵀ·x_t for every row x_t of x. x (T, rows), y (T, cols). Borrows x, y and the
/// bytes of W.
template <class Weights>
product make_transposed_product(const Weights& w, rows<const float> x, rows<float> y) {
    detail::check_shapes(w.cols(), w.rows(), x, y);
    return detail::make_product(w, x, y, true, detail::dot_kernel_of(w));
}

namespace detail {

/// Rounds the inputs of integer products, once for those that share theirs.
inline void quantise_inputs(std::span<product> products) {
    for (std::size_t i = 0; i < products.size(); ++i) {
        product& p = products[i];
        for (std::size_t j = 0; j < i && p.integer && !p.quantised; ++j) {
            const product& other = products[j];
            if (other.x.data() == p.x.data() && other.x.width() == p.x.width()) {
                p.quantised = other.quantised;
            }
        }
        if (p.integer && !p.quantised) { p.quantised = std::make_shared<quantised_rows>(p.x); }
    }
}

}  // namespace detail

/// Runs products side by side in one parallel loop; `done(i, first, count)` is called when outputs
/// [first, first + count) of product i are there.
inline void run(std::span<product> products,
                function_ref<void(std::size_t, std::size_t, std::size_t)> done) {
    detail::quantise_inputs(products);
    std::size_t tiles = 0;
    std::size_t work = 0;
    for (const product& p : products) {
        tiles += p.tiles();
        work = std::max(work, p.work_per_tile);
    }
    parallel_for(tiles, work, [&](std::size_t tile) {
        std::size_t i = 0;
        while (tile >= products[i].tiles()) { tile -= products[i++].tiles(); }
        products[i].compute_tile(tile);
        done(i, products[i].first(tile), products[i].count(tile));
    });
}
[[gnu::noinline]] inline void run(product one) {  // nothing beside it
    run(std::span(&one, 1), [](auto...) {});
}

/// Runs products with equally many outputs tile by tile, all of them on a tile before the next, in
/// one parallel loop; `done(first, count)` is called when outputs [first, first + count) of all are
/// there. Only products that are cut up alike (their weights stored the same way round) can share a
/// loop; others run one after the other.
inline void run_together(std::span<product> products,
                         function_ref<void(std::size_t, std::size_t)> done) {
    detail::quantise_inputs(products);
    const product& one = products.front();
    if (!std::ranges::all_of(products, [&](auto& p) { return p.tile_size == one.tile_size; })) {
        for (const product& p : products) { run(p); }
        return done(0, one.outputs);
    }
    parallel_for(one.tiles(), products.size() * one.work_per_tile, [&](std::size_t tile) {
        for (const product& p : products) { p.compute_tile(tile); }
        done(one.first(tile), one.count(tile));
    });
}

/// y_t = W·x_t for every row x_t of x. x (T, cols), y (T, rows).
template <class Weights>
void matmul(const Weights& w, rows<const float> x, rows<float> y) {
    run(make_product(w, x, y));
}

/// y_t = Wᵀ·x_t for every row x_t of x. x (T, rows), y (T, cols).
template <class Weights>
void matmul_transposed(const Weights& w, rows<const float> x, rows<float> y) {
    run(make_transposed_product(w, x, y));
}

/// y = W·x. x (cols), y (rows). The bits of matmul with T = 1.
template <class Weights>
void matvec(const Weights& w, std::span<const float> x, std::span<float> y) {
    matmul(w, as_rows(x), as_rows(y));
}

/// y = Wᵀ·x. x (rows), y (cols).
template <class Weights>
void matvec_transposed(const Weights& w, std::span<const float> x, std::span<float> y) {
    matmul_transposed(w, as_rows(x), as_rows(y));
}

namespace detail {

/// y(i) = ⟨S_ids[i], x⟩ of stored rows.
template <class Format>
void dot_some_stored_rows(const matrix<Format>& w, std::span<const std::size_t> ids,
                          std::span<const float> x, std::span<float> y) {
    constexpr std::size_t R = blocking::matvec_rows<Format>;
    const std::size_t row_bytes = w.row_bytes(w.stored_cols());
    for (std::size_t i = 0; i < ids.size(); i += R) {
        for (std::size_t j = i + R; j < std::min(i + 2 * R, ids.size()); ++j) {
            prefetch(w.stored_row(ids[j]), row_bytes);
        }
        const std::size_t some = std::min(R, ids.size() - i);
        const auto at = [&](std::size_t j) { return ids[i + std::min(j, some - 1)]; };
        dot_vector<Format, R>(stored_rows_at<R>(w, at), 0, x, y.subspan(i, some));
    }
}
inline void dot_some_stored_rows(const any_matrix& w, std::span<const std::size_t> ids,
                                 std::span<const float> x, std::span<float> y) {
    w.visit([&](const auto& m) { dot_some_stored_rows(m, ids, x, y); });
}

}  // namespace detail

/// y(i) = ⟨W(ids[i], :), x⟩ for some rows of W: the bits of matvec. On the calling thread.
template <class Weights>
void dot_some_rows(const Weights& w, std::span<const std::size_t> ids, std::span<const float> x,
                   std::span<float> y) {
    if (!w.transposed()) { return detail::dot_some_stored_rows(w, ids, x, y); }
    for (std::size_t i = 0; i < ids.size(); ++i) {
        matvec(w.slice_rows(ids[i], 1), x, y.subspan(i, 1));
    }
}

}  // namespace xlens::kernels
