// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/events/options.hpp>
#include <xlens/events/record_updates.hpp>
#include <xlens/kernels/add.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/lens/unembedding_rows.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/numerics/moments.hpp>
#include <xlens/numerics/normal_draws.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace xlens {

/// Which sub-updates of a layer are scored.
enum class score_group {
    dominant,  ///< the k with the largest |m_i|·‖v_i‖
    random,    ///< k others, drawn from all
    gaussian,  ///< the coefficients of the dominant, but each v_i is a Gaussian vector with the
               ///< mean and variance that the layer's value vectors have in every dimension
};
inline constexpr std::array<std::string_view, 3> score_groups{"dominant", "random", "gaussian"};

/// How a sub-update is scored for a token w, ē being the mean of all rows of E.
enum class score_form {
    folded,          ///< m_i·⟨γ⊙e_w, v_i⟩
    folded_centred,  ///< m_i·⟨γ⊙(e_w - ē), v_i⟩
    raw,             ///< m_i·⟨e_w, v_i⟩: the formula of Geva et al. 2022
    raw_centred,     ///< m_i·⟨e_w - ē, v_i⟩
};
inline constexpr std::array<std::string_view, 4> score_forms{"folded", "folded_centred", "raw",
                                                             "raw_centred"};

/// Over the k sub-updates of a group.
struct score_summary {
    float mean = 0.0F;
    float max = 0.0F;
    float min = 0.0F;
    bool operator==(const score_summary&) const = default;
};

/// The scores of one token at one FFN update, by group and form.
struct token_scores {
    std::array<std::array<score_summary, score_forms.size()>, score_groups.size()> all{};

    [[nodiscard]] const score_summary& of(score_group g, score_form f) const {
        return all[static_cast<std::size_t>(g)][static_cast<std::size_t>(f)];
    }
    bool operator==(const token_scores&) const = default;
};

/// How a whole FFN update o = after - before scores a token, raw or folded.
struct whole_score {
    float score = 0.0F;    ///< ⟨e_w, o⟩
    float centred = 0.0F;  ///< ⟨e_w - ē, o⟩
};

namespace detail {

/// Vectors v of one layer, and what every token has in common in their scores.
struct scored_vectors {
    xt::xtensor<float, 2> vectors;     ///< (N, D)
    std::vector<float> shared_folded;  ///< (N): ⟨γ⊙ē, v⟩
    std::vector<float> shared_raw;     ///< (N): ⟨ē, v⟩
};

/// Summary of k scores that come one by one.
class running_summary {
public:
    void add(float score) {
        m_sum += double{score};
        m_max = m_count == 0 ? score : std::max(m_max, score);
        m_min = m_count == 0 ? score : std::min(m_min, score);
        ++m_count;
    }
    [[nodiscard]] score_summary result() const {
        if (m_count == 0) { return {}; }
        return {static_cast<float>(m_sum / static_cast<double>(m_count)), m_max, m_min};
    }

private:
    double m_sum = 0.0;
    float m_max = 0.0F;
    float m_min = 0.0F;
    std::size_t m_count = 0;
};

/// `count` Gaussian vectors with the mean and the variance of the rows of `like` (N, D), in every
/// dimension by itself.
inline xt::xtensor<float, 2> gaussian_like(const xt::xtensor<float, 2>& like, std::size_t count,
                                           std::uint64_t seed, std::size_t layer) {
    const std::size_t width = like.shape(1);
    const column_moments moments((rows<const float>(like)));
    xt::xtensor<float, 2> out = xt::empty<float>({count, width});
    for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t d = 0; d < width; ++d) {
            const float z = normal_of(drawn(draw::value, seed, layer, i, d));
            out(i, d) = static_cast<float>(moments.mean[d] + moments.deviation[d] * double{z});
        }
    }
    return out;
}

}  // namespace detail

/// Scores tokens by the sub-updates of a layer. `load` decodes a layer's value vectors, (F, D) in
/// f32, of which one layer is held at a time; the Gaussian vectors of all layers are kept
/// (L·gaussian_vectors·D floats). Borrows the model.
class sub_update_scores {
public:
    /// Gaussian vectors a layer, from which the controls are drawn.
    static constexpr std::size_t gaussian_vectors = 128;

    sub_update_scores(const transformer<>& model, std::uint64_t seed)
        : m_model(&model), m_seed(seed), m_controls(model.blocks.size()) {
        const std::size_t width = model.config.width;
        m_gain.assign(width, 1.0F);
        if (model.final_norm) {
            std::copy_n(model.final_norm->gain.begin(), width, m_gain.begin());
        }
        m_mean = mean_unembedding(model.unembedding);
        m_folded_mean = folded(m_mean);
    }

    /// Makes a layer's value vectors the ones that are scored.
    void load(std::size_t layer) {
        const auto& ffn = m_model->blocks[layer].ffn;
        m_values.vectors.resize({ffn.inner_width(), ffn.width()});
        const rows<float> values = m_values.vectors;
        parallel_for(values.count(), 64 * values.width(),
                     [&](std::size_t i) { ffn.value(i, values[i]); });
        find_shared(m_values);
        m_layer = layer;
        detail::scored_vectors& control = m_controls[layer];
        if (control.vectors.size() == 0) {
            control.vectors =
                detail::gaussian_like(m_values.vectors, gaussian_vectors, m_seed, layer);
            find_shared(control);
        }
    }

    /// How row t of a recorded layer, which must be the one that is loaded, scores token w.
    /// `position`: the token's place in the text. `own` (k, or empty) gets the scores of the
    /// dominant sub-updates one by one, raw or folded (without ē). Cost 12·k·D.
    [[nodiscard]] token_scores operator()(const recorded_layer& layer, std::size_t t,
                                          std::size_t position, token_id w, projection form,
                                          std::span<float> own) const {
        struct raw_direction;
        struct folded_direction;
        const std::size_t width = m_gain.size();
        const std::span<float> raw(kernels::scratch<raw_direction>(width), width);
        const std::span<float> fold(kernels::scratch<folded_direction>(width), width);
        m_model->unembedding.direction(w, raw);
        for (std::size_t d = 0; d < width; ++d) { fold[d] = raw[d] * m_gain[d]; }
        const std::size_t k = layer.dominant.size() / layer.dominant_share.size();
        const auto dominant = std::span(layer.dominant).subspan(t * k, k);
        const auto random = std::span(layer.random).subspan(t * k, k);
        for (std::size_t i = 0; i < own.size(); ++i) {
            const auto& e = form == projection::raw ? raw : fold;
            own[i] = layer.scale[t] * dominant[i].coefficient *
                     kernels::dot(e, vector(m_values, dominant[i].where.index));
        }
        const auto itself = [](const sub_update& s, std::size_t) { return s.where.index; };
        const auto control = [&](const sub_update&, std::size_t i) {
            const std::uint64_t number =
                detail::drawn(detail::draw::vector, m_seed, position, m_layer, i);
            return static_cast<std::size_t>(number % gaussian_vectors);
        };
        const float scale = layer.scale[t];
        return {{summarise(m_values, dominant, scale, itself, raw, fold),
                 summarise(m_values, random, scale, itself, raw, fold),
                 summarise(m_controls[m_layer], dominant, scale, control, raw, fold)}};
    }

    /// The score of token w by row t's whole update: that of all sub-updates and the output bias.
    [[nodiscard]] whole_score whole(const recorded_layer& layer, std::size_t t, token_id w,
                                    projection form) const {
        struct whole_direction;
        struct whole_update;
        const std::size_t width = m_gain.size();
        const std::span<float> e(kernels::scratch<whole_direction>(width), width);
        const std::span<float> o(kernels::scratch<whole_update>(width), width);
        m_model->unembedding.direction(w, e);
        for (std::size_t d = 0; d < width; ++d) {
            o[d] = layer.after(t, d) - layer.before(t, d);
            if (form != projection::raw) { e[d] *= m_gain[d]; }
        }
        const float score = kernels::dot(e, o);
        return {score, score - kernels::dot(form == projection::raw ? m_mean : m_folded_mean, o)};
    }

    /// ‖scale·Σ m_i·v_i over the dominant‖ / ‖after - before‖ of row t; 0 where nothing was added.
    [[nodiscard]] float norm_share(const recorded_layer& layer, std::size_t t) const {
        struct partial_sum;
        const std::size_t width = m_gain.size();
        const std::span<float> sum(kernels::scratch<partial_sum>(width), width);
        std::fill(sum.begin(), sum.end(), 0.0F);
        const std::size_t k = layer.dominant.size() / layer.dominant_share.size();
        for (std::size_t i = 0; i < k; ++i) {
            const sub_update& s = layer.dominant[t * k + i];
            kernels::add_scaled(layer.scale[t] * s.coefficient, vector(m_values, s.where.index),
                                sum);
        }
        const float part = kernels::norm2(sum);
        for (std::size_t d = 0; d < width; ++d) { sum[d] = layer.after(t, d) - layer.before(t, d); }
        const float whole = kernels::norm2(sum);
        return whole > 0.0F ? part / whole : 0.0F;
    }

private:
    static std::span<const float> vector(const detail::scored_vectors& from, std::size_t i) {
        return rows<const float>(from.vectors)[i];
    }
    [[nodiscard]] std::vector<float> folded(std::span<const float> e) const {
        std::vector<float> out(e.begin(), e.end());
        for (std::size_t d = 0; d < out.size(); ++d) { out[d] *= m_gain[d]; }
        return out;
    }
    void find_shared(detail::scored_vectors& v) const {
        const std::size_t count = v.vectors.shape(0);
        v.shared_raw.resize(count);
        v.shared_folded.resize(count);
        for (std::size_t i = 0; i < count; ++i) {
            v.shared_raw[i] = kernels::dot(m_mean, vector(v, i));
            v.shared_folded[i] = kernels::dot(m_folded_mean, vector(v, i));
        }
    }
    /// The scores of the coefficients, times `scale`, of some sub-updates, each with the vector
    /// that which(sub-update, its place) names.
    template <class Which>
    static std::array<score_summary, score_forms.size()> summarise(
        const detail::scored_vectors& from, std::span<const sub_update> sub_updates, float scale,
        Which which, std::span<const float> raw, std::span<const float> fold) {
        std::array<detail::running_summary, score_forms.size()> forms;
        for (std::size_t i = 0; i < sub_updates.size(); ++i) {
            const float m = scale * sub_updates[i].coefficient;
            const std::size_t v = which(sub_updates[i], i);
            const float by_fold = kernels::dot(fold, vector(from, v));
            const float by_raw = kernels::dot(raw, vector(from, v));
            forms[0].add(m * by_fold);
            forms[1].add(m * (by_fold - from.shared_folded[v]));
            forms[2].add(m * by_raw);
            forms[3].add(m * (by_raw - from.shared_raw[v]));
        }
        std::array<score_summary, score_forms.size()> out;
        for (std::size_t f = 0; f < out.size(); ++f) { out[f] = forms[f].result(); }
        return out;
    }

    const transformer<>* m_model;
    std::uint64_t m_seed;
    std::vector<float> m_gain;         ///< γ, or ones
    std::vector<float> m_mean;         ///< ē
    std::vector<float> m_folded_mean;  ///< γ⊙ē
    std::size_t m_layer = 0;
    detail::scored_vectors m_values;  ///< of layer m_layer
    std::vector<detail::scored_vectors> m_controls;
};

}  // namespace xlens
