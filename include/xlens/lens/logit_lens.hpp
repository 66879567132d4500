// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/lens/vocabulary.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace xlens {

/// How a vector that is no residual (a value vector) is read in the vocabulary. γ is the gain of
/// the final norm, norm_f the whole norm.
enum class projection {
    raw,     ///< E·v
    folded,  ///< E·(γ⊙v): linear, so that contributions add up; the default
    normed,  ///< E·norm_f(v): what the code of Geva et al. 2022 computes
};

inline projection parse_projection(std::string_view name) {
    if (name == "raw") { return projection::raw; }
    if (name == "folded") { return projection::folded; }
    if (name == "normed") { return projection::normed; }
    fail("projection: expected raw, folded or normed, got '{}'", printable(name));
}

/// The logit lens: final norm, then unembedding, applied to the residual of any layer (nostalgebraist
/// 2020; the paper's p_l = softmax(E·x_l), with the norm that its code applies). Also projects value
/// vectors. Borrows the model.
template <class Model>
class logit_lens {
public:
    explicit logit_lens(const Model& model) : m_model(&model), m_vocabulary(model.unembedding) {}

    /// The k best tokens of each residual (N, D), with exact probabilities; with `targets` (N) the
    /// log-probability of one token a row as well.
    [[nodiscard]] std::vector<reading> read(rows<const float> residuals, std::size_t k,
                                            std::span<const token_id> targets = {}) const {
        xt::xtensor<float, 2> normed = xt::empty<float>({residuals.count(), residuals.width()});
        m_model->normalise(residuals, normed);
        return m_vocabulary.read(normed, k, targets);
    }

    /// The concepts of vectors (N, D): the k tokens that each promotes and suppresses most.
    [[nodiscard]] std::vector<token_ends> project(rows<const float> vectors, std::size_t k,
                                                  projection form = projection::folded) const {
        xt::xtensor<float, 2> prepared = vectors.tensor();
        if (form == projection::normed) {
            m_model->normalise(vectors, prepared);
        } else if (form == projection::folded) {
            for (std::size_t n = 0; n < vectors.count(); ++n) { fold(rows<float>(prepared)[n]); }
        }
        return m_vocabulary.ends(prepared, k);
    }

    /// out = γ⊙e_w (D): ⟨out, v⟩ is token w's score in the folded projection of v.
    void direction(token_id token, std::span<float> out) const {
        m_model->unembedding.direction(token, out);
        fold(out);
    }

private:
    void fold(std::span<float> v) const {
        if (!m_model->final_norm) { return; }
        const auto& gain = m_model->final_norm->gain;
        for (std::size_t d = 0; d < v.size(); ++d) { v[d] *= gain(d); }
    }

    using weights = std::remove_cvref_t<decltype(std::declval<Model>().unembedding.sections[0].out)>;
    const Model* m_model;
    vocabulary<weights> m_vocabulary;
};

}  // namespace xlens
