// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>

#include <vector>

#if XLENS_DEFINES(concepts)
#include <xlens/lens/logit_lens.hpp>
#endif

namespace xlens {

/// Excess kurtosis of each vector's folded scores s_w = ⟨γ⊙e_w, v⟩ over the vocabulary:
/// m_4/m_2² - 3 with the central moments m_p = 1/V Σ_w (s_w - s̄)^p. 0 for normally distributed
/// scores; high where few tokens stand out from all others, a vector that is about one thing
/// (what ROTATE, arXiv 2604.06005, turns neurons towards). v and -v have the same. NaN where all
/// scores are equal. (N, D) -> (N); N·V·D multiply-adds, sums in double (numerics/power_sums.hpp).
/// For vectors whose tokens are wanted too: logit_lens::project. Throws xlens::error where a number
/// or a score is not finite.
XLENS_API std::vector<float> score_kurtosis(const transformer<>& model, rows<const float> vectors);

#if XLENS_DEFINES(concepts)

XLENS_API std::vector<float> score_kurtosis(const transformer<>& model, rows<const float> vectors) {
    std::vector<float> out(vectors.count());
    if (!out.empty()) { (void)logit_lens(model).project(vectors, 0, out); }
    return out;
}

#endif

}  // namespace xlens
