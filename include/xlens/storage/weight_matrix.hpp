// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/any_matrix.hpp>

#include <concepts>
#include <cstddef>
#include <span>

namespace xlens {

/// What layers are generic over: a stored matrix W (rows, cols) = (outputs, inputs), a borrowed
/// view that is cheap to copy. matrix<Format> fixes the format by its type, any_matrix when the
/// file is read. kernels::matmul and matmul_transposed multiply with it.
template <class W>
concept weight_matrix =
    std::copyable<W> && requires(const W& w, std::size_t i, std::span<float> out) {
        { w.rows() } -> std::same_as<std::size_t>;
        { w.cols() } -> std::same_as<std::size_t>;
        { w(i, i) } -> std::same_as<float>;
        w.row(i, out);
        w.column(i, out);
        { w.slice_rows(i, i) } -> std::same_as<W>;
        { w.transpose() } -> std::same_as<W>;
        { w.in_f32() } -> std::convertible_to<W>;
    };

static_assert(weight_matrix<any_matrix>);

}  // namespace xlens
