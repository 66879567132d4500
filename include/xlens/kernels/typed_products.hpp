// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/dot_tile.hpp>
#include <xlens/kernels/integer_dots.hpp>
#include <xlens/kernels/product.hpp>
#include <xlens/kernels/stored_products.hpp>
#include <xlens/storage/matrix.hpp>
#include <xlens/storage/precision.hpp>

#include <cstddef>
#include <span>

// What a product with a matrix of one format is compiled from (kernels/matmul.hpp).

namespace xlens::kernels::detail {

template <class Format>
dot_kernel dot_kernel_of([[maybe_unused]] precision how) {
#if XLENS_INTEGER_DOTS
    if constexpr (has_integer_dots<Format>) {
        if (how == precision::native) { return {stored_integer_dots<Format>, true}; }
    }
#endif
    if constexpr (is_rare<Format>) {
        return {dots_by_tiles};
    } else {
        return {stored_dots<Format>};
    }
}

template <class Format>
dot_kernel dot_kernel_of(const matrix<Format>&) {
    return dot_kernel_of<Format>(precision::f32);
}

template <class Format>
    requires(is_rare<Format>)
void dot_some_stored_rows(const matrix<Format>& w, std::span<const std::size_t> ids,
                          std::span<const float> x, std::span<float> y) {
    dot_some_decoded_rows(w, ids, x, y);
}

template <class Format>
    requires(!is_rare<Format>)
void dot_some_stored_rows(const matrix<Format>& w, std::span<const std::size_t> ids,
                          std::span<const float> x, std::span<float> y) {
    constexpr std::size_t R = blocking::matvec_rows<Format>;
    vector_meets_some_rows<R>(w, ids, x, y, dots_in_registers<Format, R, 1>);
}

}  // namespace xlens::kernels::detail
