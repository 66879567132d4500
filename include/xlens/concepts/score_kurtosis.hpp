// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>

#include <vector>

#if XLENS_DEFINES(concepts)
#include <xlens/concepts/scan_scores.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/lens/logit_lens.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#endif

namespace xlens {

/// Excess kurtosis of each vector's folded scores s_w = ⟨γ⊙e_w, v⟩ over the vocabulary:
/// m_4/m_2² - 3 with the central moments m_p = 1/V Σ_w (s_w - s̄)^p. 0 for normally distributed
/// scores; high where few tokens stand out from all others, a vector that is about one thing
/// (what ROTATE, arXiv 2604.06005, turns neurons towards). v and -v have the same. NaN where all
/// scores are equal. (N, D) -> (N); N·V·D multiply-adds, sums in double.
XLENS_API std::vector<float> score_kurtosis(const transformer<>& model, rows<const float> vectors);

#if XLENS_DEFINES(concepts)
namespace detail {

/// Sums of powers about a shift near the mean, which takes nothing from their precision.
struct power_sums {
    double shift = 0.0;
    std::array<double, 4> of{};

    void add(std::span<const float> scores) {
        for (const float score : scores) {
            const double x = double{score} - shift;
            const double square = x * x;
            of[0] += x;
            of[1] += square;
            of[2] += square * x;
            of[3] += square * square;
        }
    }
    [[nodiscard]] float kurtosis(std::size_t count) const {
        const auto n = static_cast<double>(count);
        const double a = of[0] / n;
        const double b = of[1] / n;
        const double m2 = b - a * a;
        const double m4 = of[3] / n - 4.0 * a * of[2] / n + 6.0 * a * a * b - 3.0 * a * a * a * a;
        return static_cast<float>(m4 / (m2 * m2) - 3.0);
    }
};

}  // namespace detail

XLENS_API std::vector<float> score_kurtosis(const transformer<>& model, rows<const float> vectors) {
    constexpr std::size_t batch_rows = 2048;  // bounds the memory of scores
    const logit_lens lens(model);
    std::vector<float> out;
    for (std::size_t begin = 0; begin < vectors.count(); begin += batch_rows) {
        const aligned_tensor in =
            lens.prepared(vectors.subrows(begin, std::min(batch_rows, vectors.count() - begin)),
                          projection::folded);
        std::vector<detail::power_sums> sums(in.shape(0));
        scan_scores(
            model.unembedding, in, [](std::size_t, rows<float>) {},
            [&](std::size_t first, rows<const float> scores) {
                constexpr std::size_t work = 8;  // of one score
                parallel_for(scores.count(), work * scores.width(), [&](std::size_t n) {
                    if (first == 0) {
                        double sum = 0.0;
                        for (const float score : scores[n]) { sum += double{score}; }
                        sums[n].shift = sum / static_cast<double>(scores.width());
                    }
                    sums[n].add(scores[n]);
                });
            });
        for (const detail::power_sums& s : sums) {
            out.push_back(s.kurtosis(model.config.vocabulary));
        }
    }
    return out;
}

#endif

}  // namespace xlens
