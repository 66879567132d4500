// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/dot_tile.hpp>
#include <xlens/kernels/integer_dots.hpp>
#include <xlens/kernels/prefetch.hpp>
#include <xlens/kernels/product.hpp>
#include <xlens/kernels/stored_products.hpp>
#include <xlens/storage/matrix.hpp>
#include <xlens/storage/precision.hpp>

#include <algorithm>
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

}  // namespace xlens::kernels::detail
