// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/storage/any_matrix.hpp>
#include <xlens/storage/matrix.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

namespace xlens {

/// out_c = W(:, c) of every column of W (rows, cols). out (cols, rows). The weights are read in the
/// order in which they are stored, so that each block is decoded once.
template <class Format>
void decode_columns(const matrix<Format>& w, rows<float> out) {
    if (w.transposed()) {
        parallel_for(w.stored_rows(), w.stored_cols(),
                     [&](std::size_t r) { decode_row<Format>(w.stored_row(r), out[r]); });
        return;
    }
    constexpr std::size_t width = std::max<std::size_t>(Format::block, 64);
    const std::size_t tiles = (w.stored_cols() + width - 1) / width;
    parallel_for(tiles, width * w.stored_rows(), [&](std::size_t tile) {
        const std::size_t first = tile * width;
        const std::size_t count = std::min(width, w.stored_cols() - first);
        std::array<float, width> part;
        for (std::size_t r = 0; r < w.stored_rows(); ++r) {
            decode_row<Format>(w.stored_row(r) + matrix<Format>::row_bytes(first),
                               std::span(part).first(count));
            for (std::size_t c = 0; c < count; ++c) { out[first + c][r] = part[c]; }
        }
    });
}
inline void decode_columns(const any_matrix& w, rows<float> out) {
    w.visit([&](const auto& m) { decode_columns(m, out); });
}

}  // namespace xlens
