// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/storage/matrix.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

namespace xlens {

/// out_c = W(:, c) of every column of W (rows, cols). out (cols, rows). The weights are read in the
/// order in which they are stored, so that each block is decoded once.
inline void decode_columns(const matrix_view& w, rows<float> out) {
    if (w.transposed()) {
        parallel_for(w.stored_rows(), w.stored_cols(),
                     [&](std::size_t r) { w.decode(r, 0, out[r]); });
        return;
    }
    constexpr std::size_t width = largest_block;
    const std::size_t tiles = (w.stored_cols() + width - 1) / width;
    parallel_for(tiles, width * w.stored_rows(), [&](std::size_t tile) {
        const std::size_t first = tile * width;
        const std::size_t count = std::min(width, w.stored_cols() - first);
        std::array<float, width> part;
        for (std::size_t r = 0; r < w.stored_rows(); ++r) {
            w.decode(r, first, std::span(part).first(count));
            for (std::size_t c = 0; c < count; ++c) { out[first + c][r] = part[c]; }
        }
    });
}

}  // namespace xlens
