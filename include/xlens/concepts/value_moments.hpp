// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/concepts/second_moments.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

#if XLENS_DEFINES(concepts)
#include <xlens/lens/unembedding_rows.hpp>
#endif

namespace xlens {

/// Mean μ (D) and covariance C (D, D) of all L·F value vectors of a model: what a token's scores
/// ⟨e_w, v⟩ do over the value vectors. A pass over the value matrices for each, and L·F·D²
/// multiply-adds; memory F·D floats.
class value_moments : public second_moments {
public:
    explicit value_moments(const transformer<>& model);

private:
    static constexpr std::size_t tile_rows = 1024;

    template <class Visit>
    static void each_tile(const transformer<>& model, Visit visit) {
        for (const auto& values : model.value_matrices()) {
            xt::xtensor<float, 2> vectors = values.columns();
            for (std::size_t first = 0; first < values.cols(); first += tile_rows) {
                visit(rows<float>(vectors).subrows(first,
                                                   std::min(tile_rows, values.cols() - first)));
            }
        }
    }
    static std::size_t count(const transformer<>& model);
    static std::vector<float> mean_value(const transformer<>& model);
};

#if XLENS_DEFINES(concepts)

XLENS_API value_moments::value_moments(const transformer<>& model)
    : second_moments(count(model), mean_value(model),
                     [&](auto visit) { each_tile(model, visit); }) {}

XLENS_API std::size_t value_moments::count(const transformer<>& model) {
    std::size_t out = 0;
    for (const auto& values : model.value_matrices()) { out += values.cols(); }
    return out;
}

XLENS_API std::vector<float> value_moments::mean_value(const transformer<>& model) {
    detail::row_sum sum(model.config.width);
    each_tile(model, [&](rows<float> some) { sum.add(some); });
    return sum.mean(count(model));
}

#endif

}  // namespace xlens
