// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/concepts/standard_scores.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace xlens {

/// Reads vectors in the vocabulary in any of the four projections: raw, folded and normed by a
/// logit_lens, standard by standard_scores. Borrows the model.
class concept_reader {
public:
    concept_reader(const transformer<>& model, projection form) : m_lens(model), m_form(form) {
        if (form == projection::standard) { m_standard.emplace(model); }
    }
    /// Refused: it borrows the model. Keep the model in a variable that outlives it.
    concept_reader(const transformer<>&& model, projection form) = delete;

    /// The k tokens that each vector (N, D) promotes and suppresses most.
    [[nodiscard]] std::vector<token_ends> project(rows<const float> vectors, std::size_t k) const {
        return m_standard ? m_standard->project(vectors, k) : m_lens.project(vectors, k, m_form);
    }

    /// The same, and the excess kurtosis (N) of each vector's folded scores, whatever the form
    /// (concepts/score_kurtosis.hpp): for nothing where that is folded, else in a pass of its own.
    [[nodiscard]] std::vector<token_ends> project(rows<const float> vectors, std::size_t k,
                                                  std::span<float> kurtosis) const {
        if (m_form == projection::folded) { return m_lens.project(vectors, k, kurtosis); }
        (void)m_lens.project(vectors, 0, kurtosis);
        return project(vectors, k);
    }
    /// What a score is linear in the distance from: μ (D) of projection::standard, else nothing.
    [[nodiscard]] std::span<const float> origin() const {
        return m_standard ? m_standard->moments().mean() : std::span<const float>();
    }

private:
    logit_lens m_lens;
    projection m_form;
    std::optional<standard_scores> m_standard;
};

}  // namespace xlens
