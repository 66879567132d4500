// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/trace/head_shares.hpp>
#include <xlens/trace/largest_contributions.hpp>
#include <xlens/trace/observe_sources.hpp>
#include <xlens/trace/observe_updates.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/token.hpp>
#include <xlens/kernels/dot_in_double.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#endif

namespace xlens {

/// A logit as a sum, exact but for rounding: the residual that it is read from is a sum of parts,
/// and the final norm is linear once its scale at that residual is known. With the norm folded in,
///   logit_w = ⟨d, x⟩ + constant,   x = embedding + Σ_l (attention_l + Σ_i m_i·v_i + biases_l)
/// (the additive update of Geva et al. 2022, section 2, here with the norm that real models have).
/// The scale itself is not explained: a part counts for what it adds at the final scale.
struct attribution {
    std::size_t position = 0;
    token_id token = 0;
    std::optional<token_id> against;  ///< the logit is token's less this one's
    float logit = 0.0F;               ///< as the pass computed it; before the cap, if there is one

    float embedding = 0.0F;        ///< learned positions included
    std::vector<float> attention;  ///< (L), without output biases
    std::vector<float> ffn;        ///< (L): Σ_i m_i·⟨d, v_i⟩
    float attention_bias = 0.0F;   ///< output biases of all attentions
    float ffn_bias = 0.0F;         ///< output biases of all FFNs
    float final_norm_bias = 0.0F;  ///< ⟨e_w, β⟩, and the unembedding's own bias of the token
    float normaliser = 0.0F;       ///< of an adaptive softmax, whose logits are log-probabilities
    float gap = 0.0F;              ///< logit less the sum of all parts

    std::vector<sub_update_contribution> sub_updates;  ///< of all layers, largest magnitude first

    std::vector<attention_shares> heads;  ///< (L): `attention` by heads, where they were recorded
    std::optional<head_sources> head;     ///< one of them by positions, where that was asked for

    /// What does not depend on a layer's work.
    [[nodiscard]] float bias() const;
};

/// Which logit to explain: of `token`, or of `token` less `against`, at row `row` of a record.
struct attribution_target {
    std::size_t row = 0;
    token_id token = 0;
    std::optional<token_id> against;
};

/// Takes logits apart, of passes that the policy observe_updates has recorded. Borrows the model.
class attributor {
public:
    /// `limit`: how many sub-updates each attribution names, of these layers or, with none, of all.
    attributor(const transformer<>& model, std::size_t limit, std::vector<std::size_t> layers = {})
        : m_model(&model), m_limit(limit), m_layers(std::move(layers)) {}
    /// Refused: the attributor borrows the model. Keep the model in a variable that outlives it.
    attributor(const transformer<>&& model, std::size_t limit,
               std::vector<std::size_t> layers = {}) = delete;

    /// One attribution a target, in their order. `seen` must hold logits (state.wanted), and its
    /// pass must have been this model's. Cost for N targets: 2·N·L·F·D, with every value matrix
    /// decoded once, and once more for the norms where they are not known yet; memory
    /// O(N·(D + F + limit)) besides the result. The same bits for any number of threads. Throws
    /// xlens::error for a token outside the vocabulary, a record without logits or of another
    /// model's sizes, and where the residual is no number. Where the record has the outputs of
    /// heads, attention is taken apart by heads too; and with `sources`, a record of the same pass,
    /// one head by positions, for targets at the last position.
    [[nodiscard]] std::vector<attribution> operator()(
        const observe_updates& seen, std::span<const attribution_target> targets,
        const observe_sources* sources = nullptr) const;

private:
    /// An attribution on its way, and the exact sum of what it has so far.
    struct running;

    [[nodiscard]] std::size_t width() const { return m_model->config.width; }

    void check(const observe_updates& seen, std::span<const attribution_target> targets) const;

    /// That the record is of a model of these sizes.
    void check(const observe_updates& seen) const;

    /// Everything that is no layer's, and the direction d (D): the token's row with the norm folded
    /// in.
    running begin(const observe_updates& seen, const attribution_target& target,
                  std::span<float> d) const;

    void add_layer(const observed_update& update, std::size_t layer,
                   std::span<const attribution_target> targets,
                   const xt::xtensor<float, 2>& directions, std::vector<running>& sums) const;

    /// The same of a layer's heads, once its attention is added.
    void add_heads(const observed_update& update, std::size_t layer,
                   std::span<const attribution_target> targets,
                   const xt::xtensor<float, 2>& directions, const observe_sources* sources,
                   std::vector<running>& sums) const;

    attribution finish(const observe_updates& seen, std::size_t row, running sums) const;

    const transformer<>* m_model;
    std::size_t m_limit;
    std::vector<std::size_t> m_layers;
};

#if XLENS_DEFINES(trace)
namespace detail {

/// ⟨a, g⊙b⟩ over the elements of b: none where a bias is missing. An empty g is 1.
inline double dot_bias(std::span<const float> a, const xt::xtensor<float, 1>& b,
                       std::span<const float> g = {}) {
    const std::span<const float> bias(b.data(), b.size());
    if (g.empty()) { return kernels::dot_in_double(a.first(b.size()), bias); }
    double sum = 0.0;
    for (std::size_t d = 0; d < b.size(); ++d) {
        sum += double{a[d]} * double{g[d]} * double{bias[d]};
    }
    return sum;
}

}  // namespace detail

struct attributor::running {
    attribution to;
    largest_contributions largest;
    double sum = 0.0;
    double attention_bias = 0.0;
    double ffn_bias = 0.0;
};

XLENS_API std::vector<attribution> attributor::operator()(
    const observe_updates& seen, std::span<const attribution_target> targets,
    const observe_sources* sources) const {
    check(seen, targets);
    xt::xtensor<float, 2> directions = xt::empty<float>({targets.size(), width()});
    std::vector<running> sums;
    for (std::size_t n = 0; n < targets.size(); ++n) {
        sums.push_back(begin(seen, targets[n], rows<float>(directions)[n]));
    }
    for (std::size_t l = 0; l < seen.layers().size(); ++l) {
        add_layer(seen.layers()[l], l, targets, directions, sums);
        if (seen.layers()[l].head_outputs.size() > 0) {
            add_heads(seen.layers()[l], l, targets, directions, sources, sums);
        }
    }
    std::vector<attribution> out;
    for (std::size_t n = 0; n < targets.size(); ++n) {
        out.push_back(finish(seen, targets[n].row, std::move(sums[n])));
    }
    return out;
}

XLENS_API void attributor::check(const observe_updates& seen) const {
    const std::vector<observed_update>& layers = seen.layers();
    const std::size_t inner = layers.empty() ? 0 : layers.front().coefficients.shape(1);
    const auto logits = seen.logits();
    if (layers.size() > m_model->blocks.size() || inner != m_model->config.inner_width ||
        seen.residual().width() != width() ||
        (logits.count() > 0 && logits.width() != m_model->unembedding.vocabulary())) {
        fail(
            "attribution: a record of {} layers, width {} and {} neurons a layer, the model "
            "has {}, {} and {}: is it another's?",
            layers.size(), seen.residual().width(), inner, m_model->blocks.size(), width(),
            m_model->config.inner_width);
    }
}

XLENS_API void attributor::check(const observe_updates& seen,
                                 std::span<const attribution_target> targets) const {
    const std::size_t vocabulary = m_model->unembedding.vocabulary();
    check(seen);
    for (const attribution_target& t : targets) {
        if (t.row >= seen.logits().count()) {
            fail("attribution: row {} of a record that has the logits of {}", t.row,
                 seen.logits().count());
        }
        check_token(t.token, vocabulary, "attribution");
        if (t.against) { check_token(*t.against, vocabulary, "attribution"); }
    }
}

XLENS_API attributor::running attributor::begin(const observe_updates& seen,
                                                const attribution_target& target,
                                                std::span<float> d) const {
    const std::span<const float> x = seen.residual()[target.row];
    check_residual(as_rows(x), seen.layers().size() - 1, seen.first_position() + target.row);
    const std::span<const float> logits = seen.logits()[target.row];
    running out{{}, largest_contributions(m_limit)};
    out.to.position = seen.first_position() + target.row;
    out.to.token = target.token;
    out.to.against = target.against;
    out.to.logit = logits[static_cast<std::size_t>(target.token)];

    xt::xtensor<float, 2> normed = xt::empty<float>({std::size_t{1}, width()});
    normalise(m_model->final_norm, as_rows(x), normed);
    const auto& unembedding = m_model->unembedding;
    const std::span<const float> in(normed.data(), normed.size());
    unembedding.logit_direction(target.token, d);
    double normaliser = 0.0 - double{unembedding.normaliser(target.token, in)};
    if (target.against) {
        out.to.logit -= logits[static_cast<std::size_t>(*target.against)];
        xt::xtensor<float, 1> other = xt::empty<float>({width()});
        unembedding.logit_direction(*target.against, {other.data(), other.size()});
        for (std::size_t i = 0; i < d.size(); ++i) { d[i] -= other(i); }
        normaliser += double{unembedding.normaliser(*target.against, in)};
    }
    double constant = m_model->final_norm ? m_model->final_norm->constant(d) : 0.0;
    constant += double{unembedding.bias_of(target.token)};
    if (target.against) { constant -= double{unembedding.bias_of(*target.against)}; }
    if (unembedding.cap > 0.0F) {  // a sum explains what is capped
        out.to.logit = static_cast<float>(kernels::dot_in_double(d, in)) +
                       unembedding.bias_of(target.token) -
                       (target.against ? unembedding.bias_of(*target.against) : 0.0F);
    }
    if (m_model->final_norm) { m_model->final_norm->fold_at(x, d); }
    const double embedding = kernels::dot_in_double(d, seen.embedding()[target.row]);
    out.to.embedding = static_cast<float>(embedding);
    out.to.final_norm_bias = static_cast<float>(constant);
    out.to.normaliser = static_cast<float>(normaliser);
    out.sum = embedding + constant + normaliser;
    return out;
}

XLENS_API void attributor::add_layer(const observed_update& update, std::size_t layer,
                                     std::span<const attribution_target> targets,
                                     const xt::xtensor<float, 2>& directions,
                                     std::vector<running>& sums) const {
    const auto& block = m_model->blocks[layer];
    // In f32 whatever the pass is computed in: attribution is a lens.
    const std::size_t inner = block.ffn.inner_width();
    const value_matrix<any_matrix> values = block.ffn.values();
    xt::xtensor<float, 2> scores = xt::empty<float>({targets.size(), inner});
    values.products(directions, scores);
    std::vector<float> scale(targets.size());
    xt::xtensor<float, 2> coefficients = xt::empty<float>({targets.size(), inner});
    for (std::size_t n = 0; n < targets.size(); ++n) {
        std::ranges::copy(rows<const float>(update.coefficients)[targets[n].row],
                          rows<float>(coefficients)[n].begin());
    }
    block.ffn.scale(coefficients, scale);
    const bool named = m_layers.empty() || std::ranges::find(m_layers, layer) != m_layers.end();
    parallel_for(targets.size(), 4 * (inner + width()), [&](std::size_t n) {
        const std::span<const float> d = rows<const float>(directions)[n];
        const std::span<float> each = rows<float>(scores)[n];
        const std::size_t row = targets[n].row;
        double ffn = 0.0;
        for (std::size_t i = 0; i < inner; ++i) {
            each[i] *= scale[n] * update.coefficients(row, i);
            ffn += double{each[i]};
        }
        // Behind a norm the bias of an attention is no part of its own.
        const double attention_bias =
            block.attention_post_norm
                ? 0.0
                : double{block.residual_scale} * detail::dot_bias(d, block.attention.output.bias);
        const double ffn_bias =
            double{scale[n]} * detail::dot_bias(d, block.ffn.output_bias(), values.gain());
        const double attention =
            kernels::dot_in_double(d, rows<const float>(update.attention)[row]) - attention_bias;
        running& to = sums[n];
        if (named) { to.largest.offer(layer, each); }
        to.to.attention.push_back(static_cast<float>(attention));
        to.to.ffn.push_back(static_cast<float>(ffn));
        to.attention_bias += attention_bias;
        to.ffn_bias += ffn_bias;
        to.sum += attention + ffn + attention_bias + ffn_bias;
    });
}

XLENS_API void attributor::add_heads(const observed_update& update, std::size_t layer,
                                     std::span<const attribution_target> targets,
                                     const xt::xtensor<float, 2>& directions,
                                     const observe_sources* sources,
                                     std::vector<running>& sums) const {
    const auto& block = m_model->blocks[layer];
    const std::size_t width = block.attention.shape.heads * block.attention.shape.head_size;
    const rows<const float> recorded = update.head_outputs;
    if (recorded.width() != width) {
        fail("attribution: a record of heads of {} numbers, the model has {}: is it another's?",
             recorded.width(), width);
    }
    xt::xtensor<float, 2> outputs = xt::empty<float>({targets.size(), width});
    for (std::size_t n = 0; n < targets.size(); ++n) {
        std::ranges::copy(recorded[targets[n].row], rows<float>(outputs)[n].begin());
    }
    const detail::head_reader heads(block, directions, outputs);
    for (std::size_t n = 0; n < targets.size(); ++n) {
        sums[n].to.heads.push_back(heads.shares(n, double{sums[n].to.attention.back()}));
        if (sources != nullptr && sources->which().layer == layer) {
            sums[n].to.head = heads.sources(n, *sources);
        }
    }
}

XLENS_API attribution attributor::finish(const observe_updates& seen, std::size_t row,
                                         running sums) const {
    attribution out = std::move(sums.to);
    out.attention_bias = static_cast<float>(sums.attention_bias);
    out.ffn_bias = static_cast<float>(sums.ffn_bias);
    out.gap = static_cast<float>(double{out.logit} - sums.sum);
    out.sub_updates = sums.largest.sorted();
    for (sub_update_contribution& s : out.sub_updates) {
        static_cast<sub_update&>(s) =
            make_sub_update(s.where, seen.layers()[s.where.layer].coefficients(row, s.where.index),
                            m_model->blocks[s.where.layer].ffn.value_norms()(s.where.index));
    }
    return out;
}

XLENS_API float attribution::bias() const {
    return attention_bias + ffn_bias + final_norm_bias + normaliser;
}
#endif

}  // namespace xlens
