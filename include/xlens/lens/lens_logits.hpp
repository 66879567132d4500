// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/aligned.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/nn/unembedding.hpp>
#include <xlens/storage/rows.hpp>

#include <optional>

namespace xlens {

/// The logit lens as rows of logits, for whoever needs all of a distribution: in f32 as logit_lens
/// reads, also where the model computes in `precision::native`. Borrows the model.
class lens_logits {
public:
    explicit lens_logits(const transformer<>& model)
        : m_norm(&model.final_norm), m_unembedding(model.unembedding) {
        for (auto& s : m_unembedding.sections) {
            s.out = s.out.in_f32();
            if (s.projection) { s.projection = s.projection->in_f32(); }
        }
        if (m_unembedding.classes) { m_unembedding.classes = m_unembedding.classes->in_f32(); }
    }
    /// Refused: the lens borrows the model. Keep the model in a variable that outlives it.
    explicit lens_logits(const transformer<>&& model) = delete;

    /// Logits (N, V) of residuals (N, D). Throws xlens::error where a number or a logit is not
    /// finite. Cost 2·N·V·D.
    void operator()(rows<const float> residuals, rows<float> logits) const {
        auto normed = aligned_tensor::from_shape({residuals.count(), residuals.width()});
        normalise(*m_norm, residuals, normed);
        m_unembedding.logits(normed, logits);
    }

private:
    const std::optional<any_norm>* m_norm;
    unembedding<any_matrix> m_unembedding;
};

}  // namespace xlens
