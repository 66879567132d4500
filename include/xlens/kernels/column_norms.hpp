// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/storage/matrix_view.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

#if XLENS_DEFINES(kernels)
#include <xlens/core/parallel.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/scratch.hpp>
#endif

namespace xlens::kernels {

/// ‖W(:, c)‖ of every column: with W the second FFN matrix, the norms of its value vectors.
/// out (cols). One pass over W.
XLENS_API void column_norms(const matrix_view& w, std::span<float> out);

#if XLENS_DEFINES(kernels)
namespace detail {

/// Columns whose norms one task computes (a whole block if that is larger).
inline constexpr std::size_t column_norms_tile = 64;

struct column_norms_buffer;

/// out_c = √Σ_r S(r, c)², rows added in their order.
inline void stored_column_norms(const matrix_view& w, std::span<float> out) {
    const std::size_t width = std::max(w.block(), column_norms_tile);
    const std::size_t tiles = (out.size() + width - 1) / width;
    parallel_for(tiles, 2 * width * w.stored_rows(), [&](std::size_t tile) {
        const std::size_t first = tile * width;
        const std::span<float> sums = out.subspan(first, std::min(width, out.size() - first));
        float* buffer = scratch<column_norms_buffer>(sums.size());
        std::fill(sums.begin(), sums.end(), 0.0F);
        for (std::size_t r = 0; r < w.stored_rows(); ++r) {
            const float* row = w.decoded(r, first, sums.size(), buffer);
            for (std::size_t c = 0; c < sums.size(); ++c) { sums[c] += row[c] * row[c]; }
        }
        for (float& s : sums) { s = std::sqrt(s); }
    });
}

/// out_r = ‖S_r‖ of every stored row.
inline void stored_row_norms(const matrix_view& w, std::span<float> out) {
    const std::size_t n = w.stored_cols();
    parallel_for(out.size(), 2 * n, [&](std::size_t r) {
        const float* row = w.decoded(r, 0, n, scratch<column_norms_buffer>(n));
        out[r] = norm2({row, n});
    });
}

}  // namespace detail

XLENS_API void column_norms(const matrix_view& w, std::span<float> out) {
    w.transposed() ? detail::stored_row_norms(w, out) : detail::stored_column_norms(w, out);
}
#endif

}  // namespace xlens::kernels
