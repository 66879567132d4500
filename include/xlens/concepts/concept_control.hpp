// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/concepts/concept_quality.hpp>
#include <xlens/concepts/token_moments.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#if XLENS_DEFINES(concepts)
#include <xlens/concepts/random_scores.hpp>
#include <xlens/concepts/random_vectors.hpp>
#include <xlens/core/error.hpp>
#include <xlens/kernels/add.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/lens/token_ends.hpp>
#endif

namespace xlens {

/// Measures concepts: of value vectors, and of the random vectors that a claim about them is
/// compared with (Geva et al. 2022, section 4; there people judged the tokens). Borrows the model.
/// Made by one pass over the unembedding and V·D² multiply-adds.
class concept_control {
public:
    /// Throws xlens::error for projection::normed and standard, whose scores have no such moments.
    concept_control(const transformer<>& model, projection form);

    /// The quality of both ends of each vector (N, D), k tokens an end.
    [[nodiscard]] std::vector<concept_quality> measure(rows<const float> vectors,
                                                       std::size_t k) const;

    /// A value vector's quality beside that of `count` Gaussian vectors with the mean and variance
    /// of its layer's value vectors. Cost count·V·D.
    [[nodiscard]] controlled_concept compare(const neuron& where, std::size_t k, std::size_t count,
                                             std::uint64_t seed) const;

private:
    [[nodiscard]] float coherence(const std::vector<scored>& tokens) const;
    static controlled beside(const concept_quality& own, const std::vector<concept_quality>& chance,
                             end_quality concept_quality::*end, float end_quality::*figure);

    const transformer<>* m_model;
    logit_lens m_lens;
    projection m_form;
    token_moments m_moments;
};

#if XLENS_DEFINES(concepts)

XLENS_API concept_control::concept_control(const transformer<>& model, projection form)
    : m_model(&model), m_lens(model), m_form(form), m_moments(model.unembedding) {
    if (form != projection::folded && form != projection::raw) {
        fail("control: projection: expected folded or raw, got {}", name_of(form));
    }
    if (form == projection::folded) { m_moments = m_moments.times(m_lens.gain()); }
}

XLENS_API std::vector<concept_quality> concept_control::measure(rows<const float> vectors,
                                                                std::size_t k) const {
    const std::vector<token_ends> ends = m_lens.project(vectors, k, m_form);
    std::vector<float> spread(vectors.count());
    m_moments.deviations(vectors, spread);
    std::vector<concept_quality> out;
    for (std::size_t n = 0; n < vectors.count(); ++n) {
        const float mean = kernels::dot(m_moments.mean(), vectors[n]);
        const auto quality = [&](const std::vector<scored>& tokens) {
            const float best = tokens.empty() ? NAN : tokens.front().score;
            return end_quality{coherence(tokens), std::abs(best - mean) / spread[n]};
        };
        out.push_back({quality(ends[n].promotes), quality(ends[n].suppresses)});
    }
    return out;
}

XLENS_API controlled_concept concept_control::compare(const neuron& where, std::size_t k,
                                                      std::size_t count, std::uint64_t seed) const {
    check_neuron(where, m_model->config.layers, m_model->config.inner_width);
    const auto values = m_model->blocks[where.layer].ffn.values();
    xt::xtensor<float, 2> real = xt::empty<float>({values.cols(), values.rows()});
    values.columns(real);
    const rows<const float> vectors = real;
    const random_vectors random(vector_moments(vectors), seed, where.layer * count);
    const xt::xtensor<float, 2> drawn = random.some(0, count);
    const concept_quality own = measure(vectors.subrows(where.index, 1), k).front();
    const std::vector<concept_quality> chance = measure(drawn, k);
    const auto end = [&](end_quality concept_quality::*which) {
        return controlled_end{beside(own, chance, which, &end_quality::coherence),
                              beside(own, chance, which, &end_quality::peak)};
    };
    return {end(&concept_quality::promotes), end(&concept_quality::suppresses)};
}

XLENS_API float concept_control::coherence(const std::vector<scored>& tokens) const {
    // Σ_{a≠b} ⟨u_a, u_b⟩ = ‖Σ u_a‖² - n of unit vectors u.
    std::vector<float> row(m_model->config.width);
    std::vector<float> sum(row.size());
    for (const scored& s : tokens) {
        if (m_form == projection::folded) {
            m_lens.direction(s.id, row);
        } else {
            m_model->unembedding.direction(s.id, row);
        }
        kernels::add_scaled(-1.0F, m_moments.mean(), row);
        kernels::add_scaled(1.0F / kernels::norm2(row), row, sum);
    }
    const auto n = static_cast<float>(tokens.size());
    return (kernels::dot(sum, sum) - n) / (n * (n - 1.0F));
}

XLENS_API controlled concept_control::beside(const concept_quality& own,
                                             const std::vector<concept_quality>& chance,
                                             end_quality concept_quality::*end,
                                             float end_quality::*figure) {
    std::vector<float> figures;
    for (const concept_quality& q : chance) { figures.push_back(q.*end.*figure); }
    const float value = own.*end.*figure;
    const random_scores random(std::move(figures));
    return {value, random.mean(), random.best(), random.share(value)};
}

#endif

}  // namespace xlens
