// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/nn/unembedding.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

// The rows e_w of the unembedding, a tile at a time, and their mean ē.

namespace xlens {

namespace detail {

/// Calls visit(rows r.. of w (N, d)) for all of w in order, N <= `tile`; `to` (tile, d) holds them,
/// and visit may change it.
template <weight_matrix Weights, class Visit>
void for_each_row_tile(const Weights& w, rows<float> to, Visit visit) {
    for (std::size_t first = 0; first < w.rows(); first += to.count()) {
        const rows<float> some = to.subrows(0, std::min(to.count(), w.rows() - first));
        parallel_for(some.count(), 8 * w.cols(), [&](std::size_t r) { w.row(first + r, some[r]); });
        visit(some);
    }
}

/// Sum of rows in double, in their order: the same bits whatever the tiles.
class row_sum {
public:
    explicit row_sum(std::size_t width) : m_sum(width, 0.0) {}

    void add(rows<const float> some);
    [[nodiscard]] std::vector<float> mean(std::size_t count) const;

private:
    std::vector<double> m_sum;
};

inline constexpr std::size_t unembedding_tile = 512;

}  // namespace detail

/// Calls visit(e_w of the next tokens (N, D)) for all of E in order, N <= `tile`; a tile ends with
/// its section. The rows may be changed. Memory tile·D floats. Cost: one pass over E, and for a
/// section with a projection P (d, D) the products with it, 2·d·D a token.
template <weight_matrix Weights, class Visit>
void for_each_tile(const unembedding<Weights>& e, std::size_t tile, Visit visit) {
    xt::xtensor<float, 2> tokens = xt::empty<float>({tile, e.width()});
    xt::xtensor<float, 2> narrow;
    for (const auto& s : e.sections) {
        if (!s.projection) {
            detail::for_each_row_tile(s.out, tokens, visit);
            continue;
        }
        narrow.resize({tile, s.out.cols()});
        detail::for_each_row_tile(s.out, narrow, [&](rows<const float> stored) {
            const rows<float> wide = rows<float>(tokens).subrows(0, stored.count());
            kernels::matmul_transposed(s.projection->in_f32(), stored, wide);
            visit(wide);
        });
    }
}

/// Mean of all rows of w (R, D) -> (D): summed in double in their order, rounded to f32.
template <weight_matrix Weights>
std::vector<float> mean_row(const Weights& w) {
    xt::xtensor<float, 2> tile = xt::empty<float>({detail::unembedding_tile, w.cols()});
    detail::row_sum sum(w.cols());
    detail::for_each_row_tile(w, rows<float>(tile), [&](rows<float> some) { sum.add(some); });
    return sum.mean(w.rows());
}

/// ē = 1/V Σ_w e_w (D), what all tokens have in common: summed in double in their order, rounded to
/// f32.
template <weight_matrix Weights>
std::vector<float> mean_unembedding(const unembedding<Weights>& e) {
    detail::row_sum sum(e.width());
    for_each_tile(e, detail::unembedding_tile, [&](rows<float> some) { sum.add(some); });
    return sum.mean(e.vocabulary());
}

#if XLENS_DEFINES(lens)

namespace detail {

XLENS_API void row_sum::add(rows<const float> some) {
    for (std::size_t r = 0; r < some.count(); ++r) {
        for (std::size_t d = 0; d < m_sum.size(); ++d) { m_sum[d] += double{some[r][d]}; }
    }
}

XLENS_API std::vector<float> row_sum::mean(std::size_t count) const {
    std::vector<float> out(m_sum.size());
    std::ranges::transform(m_sum, out.begin(), [count](double s) {
        return static_cast<float>(s / static_cast<double>(count));
    });
    return out;
}

}  // namespace detail

#endif

}  // namespace xlens
