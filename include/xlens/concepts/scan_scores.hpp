// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/lens/unembedding_rows.hpp>
#include <xlens/nn/unembedding.hpp>
#include <xlens/storage/any_matrix.hpp>
#include <xlens/storage/matrix.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>

namespace xlens {

/// All scores of vectors x (N, D) against rows of the unembedding that `prepare(first, rows)` may
/// change before, `first` being the first one's token: visit(first, scores (N, R)), tile after tile
/// of tokens in order. In f32; nothing of size V exists. Cost N·V·D multiply-adds.
template <class Prepare, class Visit>
void scan_scores(const unembedding<any_matrix>& e, rows<const float> x, Prepare prepare,
                 Visit visit) {
    constexpr std::size_t tile_rows = 512;
    std::size_t first = 0;
    xt::xtensor<float, 2> scores = xt::empty<float>({x.count(), tile_rows});
    for_each_tile(e, tile_rows, [&](rows<float> tile) {
        prepare(first, tile);
        const rows<float> out = rows<float>(scores).columns(0, tile.count());
        const matrix<f32> w(reinterpret_cast<const std::byte*>(tile.data()), tile.count(),
                            tile.width());
        kernels::matmul(w, x, out);
        visit(first, rows<const float>(out));
        first += tile.count();
    });
}

}  // namespace xlens
