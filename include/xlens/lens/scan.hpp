// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/function_ref.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/finite.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/nn/unembedding.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <limits>

// How lens/vocabulary.hpp walks over an unembedding: tile after tile, so that no V-sized row of
// scores exists.

namespace xlens::detail {

/// Rows of the unembedding whose scores exist at one time, a thread: four tiles of a product.
inline constexpr std::size_t scan_tile = 4 * kernels::blocking::dot_tile_rows;
/// The vocabulary is cut into this many groups of tiles that follow each other, each walked in
/// order by one thread and merged in order, so that the result does not depend on the number of
/// threads.
inline constexpr std::size_t scan_groups = 8;

struct scan_scores;

/// The first token of a scan whose score was not finite. Threads note; one checks when all is done,
/// for a parallel loop must not throw.
class bad_scores {
public:
    void note(std::size_t token) {
        std::size_t least = m_first.load();
        while (token < least && !m_first.compare_exchange_weak(least, token)) {}
    }
    void check() const {
        if (m_first.load() != none) { refuse_score(m_first.load()); }
    }

private:
    static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
    std::atomic<std::size_t> m_first = none;
};

/// Calls visit(group, first_row, scores (N, rows)) for every tile of W·x, whose row 0 is of token
/// `first_token`.
inline void scan(
    const any_matrix& w, std::size_t first_token, rows<const float> x, std::size_t groups,
    bad_scores& bad,
    function_ref<void(std::size_t group, std::size_t first_row, rows<float> scores)> visit) {
    const std::size_t tiles = (w.rows() + scan_tile - 1) / scan_tile;
    const auto packed = kernels::pack_inputs(w, x);
    parallel_for(groups, 2 * w.rows() * w.cols() * x.count() / groups, [&](std::size_t g) {
        const rows<float> all(kernels::scratch<scan_scores>(x.count() * scan_tile), x.count(),
                              scan_tile);
        const std::size_t end = (g + 1) * tiles / groups;
        for (std::size_t tile = g * tiles / groups; tile < end; ++tile) {
            const std::size_t first = tile * scan_tile;
            const std::size_t count = std::min(scan_tile, w.rows() - first);
            const rows<float> scores = all.columns(0, count);
            kernels::product part =
                kernels::make_product(w.slice_rows(first, count).in_f32(), x, scores);
            part.packed = packed;
            kernels::run(part);
            for (std::size_t n = 0; n < scores.count(); ++n) {
                const std::size_t row = kernels::first_not_finite(scores[n]);
                if (row < count) { bad.note(first_token + first + row); }
            }
            visit(g, first, scores);
        }
    });
}

/// Which of scan_groups equal parts of a matrix of so many rows a tile belongs to, whatever the
/// groups that walk it.
inline std::size_t part_of(std::size_t first_row, std::size_t rows) {
    const std::size_t tiles = (rows + scan_tile - 1) / scan_tile;
    std::size_t part = first_row / scan_tile * scan_groups / tiles;
    while ((part + 1) * tiles / scan_groups <= first_row / scan_tile) { ++part; }
    return part;
}

}  // namespace xlens::detail
