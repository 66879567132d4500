// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/concepts/layer_vectors.hpp>
#include <xlens/concepts/standard_scores.hpp>
#include <xlens/concepts/token_moments.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/lazy.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/core/token.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(concepts)
#include <xlens/core/error.hpp>
#include <xlens/kernels/add.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/finite.hpp>
#include <xlens/kernels/top_k.hpp>
#endif

namespace xlens {

/// What a vector's score is divided by.
enum class score_scale {
    none,    ///< nothing: ⟨q, v⟩
    norm,    ///< ‖v‖: long vectors have no advantage; of another vector, the cosine
    spread,  ///< the standard deviation of E·v over the vocabulary: a z-score
};
XLENS_API score_scale parse_scale(std::string_view name);

/// Which scores are the best: the highest, the lowest, or those farthest from zero (a gated layer's
/// coefficient may take either sign, and then suppressing is promoting).
enum class search_end { promotes, suppresses, either };

struct search_options {
    neuron_side side = neuron_side::value;
    score_scale scale = score_scale::none;
    /// Not normed, which is not linear; standard for tokens and value vectors, with no scale.
    projection form = projection::folded;
    search_end end = search_end::promotes;
    std::size_t limit = 20;
};

struct search_hit {
    neuron where;
    float score = 0.0F;
    bool operator==(const search_hit&) const = default;
};

namespace detail {
XLENS_API void check_direction(std::span<const float> direction, std::size_t width);
}  // namespace detail

/// Searches all L·F neurons of a model for a set of tokens or for another vector. Exact, without an
/// index: the mean score of tokens w ∈ W is ⟨q, v⟩ with q = mean_w γ⊙e_w, so that one product of q
/// with each layer's matrix scores them all.
/// Borrows the model. Norms and spreads are computed when they are first asked for, then kept.
class concept_search {
public:
    explicit concept_search(const transformer<>& model) : m_model(&model), m_lens(model) {}
    /// Searches other vectors of the residual in the neurons' place, as values of one layer: hit
    /// (0, i) is vector i. Borrows them too.
    concept_search(const transformer<>& model, layer_vectors others)
        : m_model(&model), m_lens(model), m_others(std::move(others)) {}
    /// Refused: the search borrows the model. Keep the model in a variable that outlives it.
    explicit concept_search(const transformer<>&& model) = delete;
    concept_search(const transformer<>&& model, layer_vectors others) = delete;

    /// The direction q (D) that scores a vector by its mean score over these tokens; with
    /// score_scale::spread less the mean over the vocabulary, with projection::standard but for
    /// offset(). Throws xlens::error for no token, for one that is not in the vocabulary, and for
    /// projection::normed.
    [[nodiscard]] std::vector<float> direction(std::span<const token_id> tokens,
                                               const search_options& options) const;
    /// The direction (D) that compares vectors with the value vector u of a neuron: u itself, u/‖u‖
    /// for a cosine (score_scale::norm), or Cu/√(uᵀCu), by which a score is the correlation of E·u
    /// and E·v over the vocabulary (score_scale::spread).
    [[nodiscard]] std::vector<float> direction(const neuron& like,
                                               const search_options& options) const;

    /// What is taken from every product with a direction: ⟨q, μ⟩ of projection::standard, else 0.
    [[nodiscard]] float offset(std::span<const float> direction,
                               const search_options& options) const;

    /// The scores (L, F) of all neurons. One pass over the stored weights of that side. Throws
    /// xlens::error for a direction of another width, or one that is not finite.
    [[nodiscard]] xt::xtensor<float, 2> scores(std::span<const float> direction,
                                               const search_options& options) const;

    /// The best neurons for these tokens, best first; of equals the first in the model.
    [[nodiscard]] std::vector<search_hit> find(std::span<const token_id> tokens,
                                               const search_options& options) const;
    /// The neurons (or others) most like the value vector of this one, which is left out itself.
    [[nodiscard]] std::vector<search_hit> find(const neuron& like,
                                               const search_options& options) const;

    /// The best of scores (L, F). A score that is not a number is none of them.
    [[nodiscard]] static std::vector<search_hit> best(const xt::xtensor<float, 2>& scores,
                                                      const search_options& options);
    /// What a score is ranked by: higher is better.
    static float rank(float score, search_end end);

    /// The two ends of the vectors of some hits, k tokens each.
    [[nodiscard]] std::vector<token_ends> concepts(std::span<const search_hit> hits, std::size_t k,
                                                   const search_options& options) const;

    /// The vectors of a layer that are searched.
    [[nodiscard]] layer_vectors layer(std::size_t l, const search_options& options) const;
    [[nodiscard]] bool of_neurons() const { return !m_others; }
    [[nodiscard]] std::size_t layers() const { return m_others ? 1 : m_model->config.layers; }
    /// How many a layer has: F, or the others.
    [[nodiscard]] std::size_t vectors() const {
        return m_others ? m_others->cols() : m_model->config.inner_width;
    }
    /// What some vectors' scores are divided by (N, D) -> (N); ones for score_scale::none.
    void scales_of(rows<const float> vectors, const search_options& options,
                   std::span<float> out) const;
    [[nodiscard]] const transformer<>& model() const { return *m_model; }

private:
    [[nodiscard]] std::size_t width() const { return m_model->config.width; }

    void check(const search_options& options) const;

    [[nodiscard]] const token_moments& moments(projection form) const;
    [[nodiscard]] const standard_scores& standard() const {
        return m_standard.get([&] { return standard_scores(*m_model); });
    }

    /// The scales (L, F) of all vectors of a side.
    [[nodiscard]] const xt::xtensor<float, 2>& scales(const search_options& options) const;

    const transformer<>* m_model;
    logit_lens m_lens;
    std::optional<layer_vectors> m_others;
    lazy<token_moments> m_raw;
    lazy<token_moments> m_folded;
    lazy<standard_scores> m_standard;
    std::array<lazy<xt::xtensor<float, 2>>, 16> m_scales;
};

#if XLENS_DEFINES(concepts)

XLENS_API score_scale parse_scale(std::string_view name) {
    if (name == "none") { return score_scale::none; }
    if (name == "norm") { return score_scale::norm; }
    if (name == "spread") { return score_scale::spread; }
    fail("normalise: expected none, norm or spread, got '{}'", printable(name));
}

namespace detail {

XLENS_API void check_direction(std::span<const float> direction, std::size_t width) {
    if (direction.size() != width) {
        fail("search: a direction of {} numbers, the model's width is {}", direction.size(), width);
    }
    const std::size_t d = kernels::first_not_finite(direction);
    if (d < width) {
        fail("search: number {} of the direction is {}, expected a finite number", d, direction[d]);
    }
}

}  // namespace detail

XLENS_API std::vector<float> concept_search::direction(std::span<const token_id> tokens,
                                                       const search_options& options) const {
    check(options);
    if (tokens.empty()) { fail("search: expected at least 1 token, got 0"); }
    std::vector<double> sum(width());
    std::vector<float> row(width());
    for (const token_id token : tokens) {
        check_token(token, m_model->config.vocabulary, "search");
        if (options.form == projection::standard) {
            standard().direction(token, row);
        } else if (options.form == projection::folded) {
            m_lens.direction(token, row);
        } else {
            m_model->unembedding.direction(token, row);
        }
        for (std::size_t d = 0; d < sum.size(); ++d) { sum[d] += double{row[d]}; }
    }
    const auto count = static_cast<double>(tokens.size());
    for (std::size_t d = 0; d < sum.size(); ++d) { row[d] = static_cast<float>(sum[d] / count); }
    if (options.scale == score_scale::spread) {
        kernels::add_scaled(-1.0F, moments(options.form).mean(), row);
    }
    return row;
}

XLENS_API std::vector<float> concept_search::direction(const neuron& like,
                                                       const search_options& options) const {
    check(options);
    if (options.form == projection::standard) {
        fail("projection: of a neuron expected folded or raw, got standard, which is of tokens");
    }
    check_neuron(like, m_model->config.layers, m_model->config.inner_width);
    std::vector<float> u(width());
    m_model->blocks[like.layer].ffn.value(like.index, u);
    std::vector<float> out = u;
    float length = 1.0F;
    if (options.scale == score_scale::norm) { length = kernels::norm2(u); }
    if (options.scale == score_scale::spread) {
        moments(options.form).apply(as_rows(std::span<const float>(u)), as_rows(std::span(out)));
        length = std::sqrt(kernels::dot(u, out));
    }
    for (float& x : out) { x /= length; }
    return out;
}

XLENS_API xt::xtensor<float, 2> concept_search::scores(std::span<const float> direction,
                                                       const search_options& options) const {
    detail::check_direction(direction, width());
    xt::xtensor<float, 2> out = xt::empty<float>({layers(), vectors()});
    for (std::size_t l = 0; l < out.shape(0); ++l) {
        layer(l, options).product(direction, rows<float>(out)[l]);
    }
    if (options.scale != score_scale::none) { out /= scales(options); }
    if (options.form == projection::standard) { out -= offset(direction, options); }
    return out;
}

XLENS_API float concept_search::offset(std::span<const float> direction,
                                       const search_options& options) const {
    if (options.form != projection::standard) { return 0.0F; }
    return kernels::dot(direction, standard().moments().mean());
}

XLENS_API std::vector<search_hit> concept_search::find(std::span<const token_id> tokens,
                                                       const search_options& options) const {
    return best(scores(direction(tokens, options), options), options);
}

XLENS_API std::vector<search_hit> concept_search::find(const neuron& like,
                                                       const search_options& options) const {
    xt::xtensor<float, 2> all = scores(direction(like, options), options);
    if (options.side == neuron_side::value && !m_others) {
        all(like.layer, like.index) = std::numeric_limits<float>::quiet_NaN();
    }
    return best(all, options);
}

XLENS_API std::vector<search_hit> concept_search::best(const xt::xtensor<float, 2>& scores,
                                                       const search_options& options) {
    top_ids<std::size_t> ranked(options.limit);
    for (std::size_t n = 0; n < scores.size(); ++n) {
        ranked.offer(n, rank(scores.data()[n], options.end));
    }
    std::vector<search_hit> out;
    for (const auto& [n, _] : ranked.sorted()) {
        out.push_back({{n / scores.shape(1), n % scores.shape(1)}, scores.data()[n]});
    }
    return out;
}

XLENS_API float concept_search::rank(float score, search_end end) {
    if (end == search_end::either) { return std::abs(score); }
    return end == search_end::suppresses ? -score : score;
}

XLENS_API std::vector<token_ends> concept_search::concepts(std::span<const search_hit> hits,
                                                           std::size_t k,
                                                           const search_options& options) const {
    xt::xtensor<float, 2> vectors = xt::empty<float>({hits.size(), width()});
    for (std::size_t n = 0; n < hits.size(); ++n) {
        layer(hits[n].where.layer, options).column(hits[n].where.index, rows<float>(vectors)[n]);
    }
    if (options.form == projection::standard) { return standard().project(vectors, k); }
    return m_lens.project(vectors, k, options.form);
}

XLENS_API layer_vectors concept_search::layer(std::size_t l, const search_options& options) const {
    if (!m_others) { return vectors_of(m_model->blocks[l], options.side, options.form); }
    if (options.side != neuron_side::value) {
        fail("side: of vectors that are not of neurons: expected value, got {}",
             name_of(options.side));
    }
    return *m_others;
}

XLENS_API void concept_search::scales_of(rows<const float> vectors, const search_options& options,
                                         std::span<float> out) const {
    if (options.scale == score_scale::spread) {
        moments(options.form).deviations(vectors, out);
        return;
    }
    for (std::size_t n = 0; n < out.size(); ++n) {
        out[n] = options.scale == score_scale::norm ? kernels::norm2(vectors[n]) : 1.0F;
    }
}

XLENS_API void concept_search::check(const search_options& options) const {
    if (options.form == projection::normed) {
        fail("projection: expected folded or raw, which are linear, got normed");
    }
    if (options.form == projection::standard && options.side != neuron_side::value) {
        fail("projection: standard: expected the side value, got {}", name_of(options.side));
    }
    if (options.form == projection::standard && options.scale != score_scale::none) {
        fail("projection: standard: has a scale of its own, expected none beside it, got {}",
             options.scale == score_scale::norm ? "norm" : "spread");
    }
    if (options.form == projection::standard && m_others) {
        fail("projection: standard: is of value vectors, expected folded or raw");
    }
    static_cast<void>(layer(0, options));
}

XLENS_API const token_moments& concept_search::moments(projection form) const {
    const auto& raw = m_raw.get([&] { return token_moments(m_model->unembedding); });
    if (form == projection::raw) { return raw; }
    return m_folded.get([&] { return raw.times(m_lens.gain()); });
}

XLENS_API const xt::xtensor<float, 2>& concept_search::scales(const search_options& options) const {
    const auto side = static_cast<std::size_t>(options.side);
    const std::size_t form = options.form == projection::raw ? 0 : 1;
    const std::size_t scale = options.scale == score_scale::norm ? 0 : 1;
    return m_scales[(side * 2 + form) * 2 + scale].get([&] {
        xt::xtensor<float, 2> out = xt::empty<float>({layers(), vectors()});
        for (std::size_t l = 0; l < out.shape(0); ++l) {
            const xt::xtensor<float, 2> some = layer(l, options).columns();
            scales_of(some, options, rows<float>(out)[l]);
        }
        return out;
    });
}

#endif

}  // namespace xlens
