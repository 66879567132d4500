// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/function_ref.hpp>
#include <xlens/kernels/product.hpp>
#include <xlens/storage/any_matrix.hpp>
#include <xlens/storage/matrix_view.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>

#if XLENS_DEFINES(kernels)
#include <xlens/core/parallel.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/dot_tile.hpp>
#include <xlens/kernels/packed_inputs.hpp>
#include <xlens/kernels/prefetch.hpp>
#include <xlens/kernels/quantised_rows.hpp>
#include <xlens/kernels/stored_products.hpp>
#include <xlens/kernels/sum_tile.hpp>
#include <xlens/kernels/typed_products.hpp>
#include <xlens/storage/matrix.hpp>
#endif

// Products with a stored weight matrix W of shape (rows, cols), for a batch of T positions:
//   matmul             y_t = W·x_t     x (T, cols), y (T, rows)
//   matmul_transposed  y_t = Wᵀ·x_t    x (T, rows), y (T, cols)
// A stored row either meets a whole input (a dot product an output) or is scaled by one element of
// it (a sum of rows); which of the two a product is depends on the storage order alone.
// Each output element is reduced by one thread in one fixed order, the same for any T, number of
// threads and alignment: a prefill gives the bits of a decode.

namespace xlens::kernels {

namespace detail {

/// The kernel of a format that is known at run time. Throws xlens::error if `id` is none.
XLENS_API dot_kernel dot_kernel_of(format_id id, precision how);
inline dot_kernel dot_kernel_of(const any_matrix& w) {
    return dot_kernel_of(w.format(), w.computed_in());
}
/// `transpose` says whether Wᵀ multiplies; the storage order decides what that is.
XLENS_API product make_product(const matrix_view& w, rows<const float> x, rows<float> y,
                               bool transpose, const dot_kernel& dots);

[[noreturn]] XLENS_API void refuse_shapes(std::size_t outputs, std::size_t inputs,
                                          rows<const float> x, rows<const float> y);

/// x must have `inputs` columns and y `outputs`, and both as many rows.
inline void check_shapes(std::size_t outputs, std::size_t inputs, rows<const float> x,
                         rows<const float> y) {
    if (x.width() != inputs || y.width() != outputs || x.count() != y.count()) {
        refuse_shapes(outputs, inputs, x, y);
    }
}

/// y(i) = ⟨S_ids[i], x⟩ of stored rows.
XLENS_API void dot_some_stored_rows(const any_matrix& w, std::span<const std::size_t> ids,
                                    std::span<const float> x, std::span<float> y);
#if !XLENS_DEFINES(kernels)
// Of a format that the type fixes: it alone is compiled (kernels/typed_products.hpp), or it comes,
// as here, from the compiled library, which has the formats that files have.
template <class Format>
dot_kernel dot_kernel_of(const matrix<Format>&) {
    constexpr auto id = format_from_name(Format::name);
    static_assert(id,
                  "a format of one's own needs the headers alone: do not define XLENS_COMPILED");
    return dot_kernel_of(*id, precision::f32);
}
template <class Format>
void dot_some_stored_rows(const matrix<Format>& w, std::span<const std::size_t> ids,
                          std::span<const float> x, std::span<float> y) {
    dot_some_stored_rows(any_matrix(w), ids, x, y);
}
#endif

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

/// x as the f32 products W·x of other slices of W's rows read it too (product::packed), made once
/// for all of them; none where they read x as it is.
XLENS_API std::shared_ptr<const packed_inputs> pack_inputs(const matrix_view& w,
                                                           rows<const float> x);

/// Runs products side by side in one parallel loop; `done(i, first, count)` is called when outputs
/// [first, first + count) of product i are there.
XLENS_API void run(std::span<product> products,
                   function_ref<void(std::size_t, std::size_t, std::size_t)> done);
XLENS_API void run(product one);

/// Runs products with equally many outputs tile by tile, all of them on a tile before the next, in
/// one parallel loop; `done(first, count)` is called when outputs [first, first + count) of all are
/// there. Only products that are cut up alike (their weights stored the same way round) can share a
/// loop; others run one after the other.
XLENS_API void run_together(std::span<product> products,
                            function_ref<void(std::size_t, std::size_t)> done);

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

/// y(i) = ⟨W(ids[i], :), x⟩ for some rows of W: the bits of matvec. On the calling thread.
template <class Weights>
void dot_some_rows(const Weights& w, std::span<const std::size_t> ids, std::span<const float> x,
                   std::span<float> y) {
    if (!w.transposed()) { return detail::dot_some_stored_rows(w, ids, x, y); }
    for (std::size_t i = 0; i < ids.size(); ++i) {
        matvec(w.slice_rows(ids[i], 1), x, y.subspan(i, 1));
    }
}

#if XLENS_DEFINES(kernels)
namespace detail {

/// `wanted` products get what `made` holds of their inputs, once for those that share theirs.
template <class Made>
void prepare_inputs(std::span<product> products, bool product::*wanted,
                    std::shared_ptr<const Made> product::*made) {
    for (std::size_t i = 0; i < products.size(); ++i) {
        product& p = products[i];
        for (std::size_t j = 0; j < i && p.*wanted && !(p.*made); ++j) {
            const product& other = products[j];
            if (other.x.data() == p.x.data() && other.x.width() == p.x.width()) {
                p.*made = other.*made;
            }
        }
        if (p.*wanted && !(p.*made)) { p.*made = std::make_shared<Made>(p.x); }
    }
}
/// Rounds the inputs of integer products, and packs those of register blocks.
inline void prepare_inputs(std::span<product> products) {
    prepare_inputs(products, &product::integer, &product::quantised);
    if constexpr (blocking::panels) {
        prepare_inputs(products, &product::panels, &product::packed);
    }
}

}  // namespace detail

namespace detail {

/// Whether stored rows meet so many whole inputs that these are packed.
inline bool reads_packed(const matrix_view& w, bool transpose, rows<const float> x) {
    return blocking::panels && w.transposed() == transpose &&
           x.count() >= blocking::least_packed_positions;
}

XLENS_API void refuse_shapes(std::size_t outputs, std::size_t inputs, rows<const float> x,
                             rows<const float> y) {
    fail("matmul: x ({}, {}) and y ({}, {}), expected x (T, {}) and y (T, {})", x.count(),
         x.width(), y.count(), y.width(), inputs, outputs);
}

XLENS_API dot_kernel dot_kernel_of(format_id id, precision how) {
    return visit_format(id, [how]<class Format>(Format) { return dot_kernel_of<Format>(how); });
}

XLENS_API product make_product(const matrix_view& w, rows<const float> x, rows<float> y,
                               bool transpose, const dot_kernel& dots) {
    product out{.outputs = y.width(), .x = x, .y = y, .weights = w};
    if (w.transposed() == transpose) {
        out.tile_size = dots.integer ? blocking::integer_tile_rows : blocking::dot_tile_rows;
        out.compute = dots.compute;
        out.integer = dots.integer;
        out.panels = !dots.integer && reads_packed(w, transpose, x);
    } else {
        out.tile_size = std::max(w.block(), sum_columns);
        out.compute = stored_sums;
    }
    out.work_per_tile = 2 * out.tile_size * x.width() * x.count();
    return out;
}

XLENS_API void dot_some_stored_rows(const any_matrix& w, std::span<const std::size_t> ids,
                                    std::span<const float> x, std::span<float> y) {
    const dot_kernel dots = dot_kernel_of(w);
    if (!dots.integer) {
        return w.visit([&](const auto& m) { dot_some_stored_rows(m, ids, x, y); });
    }
    const auto rounded = std::make_shared<const quantised_rows>(as_rows(x));
    for (std::size_t i = 0; i < ids.size(); ++i) {
        product one = make_product(w.slice_rows(ids[i], 1), as_rows(x), as_rows(y.subspan(i, 1)),
                                   false, dots);
        one.quantised = rounded;
        one.compute_tile(0);
    }
}

}  // namespace detail

XLENS_API std::shared_ptr<const packed_inputs> pack_inputs(const matrix_view& w,
                                                           rows<const float> x) {
    if (!detail::reads_packed(w, false, x)) { return nullptr; }
    return std::make_shared<const packed_inputs>(x);
}

XLENS_API void run(std::span<product> products,
                   function_ref<void(std::size_t, std::size_t, std::size_t)> done) {
    detail::prepare_inputs(products);
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

XLENS_API void run(product one) {  // nothing beside it
    run(std::span(&one, 1), [](auto...) {});
}

XLENS_API void run_together(std::span<product> products,
                            function_ref<void(std::size_t, std::size_t)> done) {
    detail::prepare_inputs(products);
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
#endif

}  // namespace xlens::kernels
