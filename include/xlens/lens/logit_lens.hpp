// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/aligned.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/lens/vocabulary.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/nn/unembedding.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(lens)
#include <xlens/core/error.hpp>
#include <xlens/storage/weight_matrix.hpp>
#endif

namespace xlens {

/// How a vector that is no residual (a value vector) is read in the vocabulary. γ is the gain of
/// the final norm, norm_f the whole norm.
enum class projection {
    raw,       ///< E·v
    folded,    ///< E·(γ⊙v): linear, so that contributions add up; the default
    normed,    ///< E·norm_f(v): what the code of Geva et al. 2022 computes
    standard,  ///< folded, each token's scores centred and scaled by what all value vectors score;
               ///< of concepts/ alone (concepts/standard_scores.hpp), a lens refuses it
};

XLENS_API projection parse_projection(std::string_view name);

XLENS_API std::string_view name_of(projection form);

/// The logit lens: final norm, then unembedding, applied to the residual of any layer
/// (nostalgebraist 2020; the paper's p_l = softmax(E·x_l), with the norm that its code applies).
/// Also projects value vectors. Borrows the model: `const logit_lens lens(model);`.
class logit_lens {
public:
    explicit logit_lens(const transformer<>& model);
    /// Refused: the lens borrows the model. Keep the model in a variable that outlives it.
    explicit logit_lens(const transformer<>&& model) = delete;

    /// The k best tokens of each residual (N, D), with exact probabilities; with `targets` (N) the
    /// log-probability of one token a row as well. Throws xlens::error for residuals of another
    /// width, and where a number to be read or a logit is not finite.
    [[nodiscard]] std::vector<reading> read(rows<const float> residuals, std::size_t k,
                                            std::span<const token_id> targets = {}) const;

    /// The concepts of vectors (N, D): the k tokens that each promotes and suppresses most. Throws
    /// xlens::error as read() does.
    [[nodiscard]] std::vector<token_ends> project(rows<const float> vectors, std::size_t k,
                                                  projection form = projection::folded) const;
    /// The same in the folded projection, and the excess kurtosis (N) of all scores of each vector
    /// (concepts/score_kurtosis.hpp): one pass over the vocabulary for both.
    [[nodiscard]] std::vector<token_ends> project(rows<const float> vectors, std::size_t k,
                                                  std::span<float> kurtosis) const;

    /// Vectors (N, D) as a projection has them before E: E·prepared(v) is the projection of v.
    [[nodiscard]] aligned_tensor prepared(rows<const float> vectors, projection form) const;

    /// out = γ⊙e_w (D): ⟨out, v⟩ is token w's score in the folded projection of v.
    void direction(token_id token, std::span<float> out) const;

    /// γ (D), the gain of the final norm; empty where the model has none.
    [[nodiscard]] std::span<const float> gain() const;

private:
    void fold(std::span<float> v) const;

    const std::optional<any_norm>* m_norm;
    const unembedding<any_matrix>* m_unembedding;
    vocabulary m_vocabulary;
};

#if XLENS_DEFINES(lens)
XLENS_API projection parse_projection(std::string_view name) {
    if (name == "raw") { return projection::raw; }
    if (name == "folded") { return projection::folded; }
    if (name == "normed") { return projection::normed; }
    if (name == "standard") { return projection::standard; }
    fail("projection: expected raw, folded, normed or standard, got '{}'", printable(name));
}

XLENS_API std::string_view name_of(projection form) {
    switch (form) {
        case projection::raw: return "raw";
        case projection::folded: return "folded";
        case projection::normed: return "normed";
        case projection::standard: return "standard";
    }
    return "";
}

XLENS_API std::vector<reading> logit_lens::read(rows<const float> residuals, std::size_t k,
                                                std::span<const token_id> targets) const {
    detail::check_width(residuals, m_unembedding->width());
    auto normed = aligned_tensor::from_shape({residuals.count(), residuals.width()});
    normalise(*m_norm, residuals, normed);
    return m_vocabulary.read(normed, k, targets);
}

XLENS_API std::vector<token_ends> logit_lens::project(rows<const float> vectors, std::size_t k,
                                                      projection form) const {
    const aligned_tensor in = prepared(vectors, form);
    return m_vocabulary.ends(in, k);
}

XLENS_API std::vector<token_ends> logit_lens::project(rows<const float> vectors, std::size_t k,
                                                      std::span<float> kurtosis) const {
    const aligned_tensor in = prepared(vectors, projection::folded);
    return m_vocabulary.ends(in, k, kurtosis);
}

XLENS_API aligned_tensor logit_lens::prepared(rows<const float> vectors, projection form) const {
    detail::check_width(vectors, m_unembedding->width());
    if (form == projection::standard) {
        fail("lens: projection: expected raw, folded or normed, got standard");
    }
    aligned_tensor out = vectors.tensor();
    if (form == projection::normed) {
        normalise(*m_norm, vectors, out);
    } else if (form == projection::folded) {
        for (std::size_t n = 0; n < vectors.count(); ++n) { fold(rows<float>(out)[n]); }
    }
    return out;
}

XLENS_API void logit_lens::direction(token_id token, std::span<float> out) const {
    m_unembedding->direction(token, out);
    fold(out);
}

XLENS_API std::span<const float> logit_lens::gain() const {
    if (!*m_norm) { return {}; }
    return detail::as_span((*m_norm)->gain);
}

XLENS_API void logit_lens::fold(std::span<float> v) const {
    const std::span<const float> by = gain();
    for (std::size_t d = 0; d < by.size(); ++d) { v[d] *= by[d]; }
}

XLENS_API logit_lens::logit_lens(const transformer<>& model)
    : m_norm(&model.final_norm),
      m_unembedding(&model.unembedding),
      m_vocabulary(model.unembedding) {}
#endif

}  // namespace xlens
