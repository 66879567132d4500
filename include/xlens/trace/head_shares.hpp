// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/attention_head.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/trace/observe_sources.hpp>

#include <cstddef>
#include <span>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/kernels/dot_in_double.hpp>
#include <xlens/nn/value_matrix.hpp>

#include <cmath>
#endif

namespace xlens {

/// What each head of a layer adds to a logit. The attention's share of the layer is their sum:
///   r·γ⊙(Σ_h O_h·z_h + b)/ρ,   z_h = Σ_s weight_h(s)·value_g(s)
/// with O_h the head's columns of the output matrix, and γ, ρ of the norm behind it, if there is
/// one.
struct attention_shares {
    std::vector<float> heads;  ///< (H)
    float bias = 0.0F;  ///< of b, where a norm stands behind it: elsewhere b is counted apart
    float gap = 0.0F;   ///< the attention's share less these
};

/// What a head took of a position, and what that adds to a logit.
struct head_source {
    float weight = 0.0F;        ///< 0 where the position is not seen
    float contribution = 0.0F;  ///< weight·⟨d, O_h·value⟩, scaled as the head is
};

/// A head's share of a logit, by the position that it took it from.
struct head_sources {
    attention_head which;
    float contribution = 0.0F;         ///< of the head
    std::vector<head_source> sources;  ///< of positions 0 on
    float gap = 0.0F;                  ///< the head's contribution less theirs
};

namespace detail {

/// The heads of a layer, read in the directions of some logits. In f32 whatever the pass is
/// computed in. Borrows the block. Cost for N directions: 2·N·D·H·d, with the output matrix decoded
/// once, and as much again where a norm stands behind it.
class head_reader {
public:
    using block_type = transformer<>::block_type;

    /// directions (N, D); outputs (N, H·d): what the heads gave where logit n was read.
    head_reader(const block_type& block, rows<const float> directions, rows<const float> outputs);

    /// Of logit n, head h and what it might have given, z (d).
    [[nodiscard]] double contribution(std::size_t n, std::size_t h, std::span<const float> z) const;
    /// Of logit n, whose attention adds `attention`.
    [[nodiscard]] attention_shares shares(std::size_t n, double attention) const;
    [[nodiscard]] head_sources sources(std::size_t n, const observe_sources& seen) const;

private:
    [[nodiscard]] double scale_at(std::span<const float> sum) const;

    const block_type* m_block;
    rows<const float> m_outputs;
    xt::xtensor<float, 2> m_read;  // (N, H·d): Oᵀ·(r·γ⊙d)
    std::vector<double> m_scale;   // (N): 1/ρ
    std::vector<double> m_bias;    // (N)
};

}  // namespace detail

#if XLENS_DEFINES(trace)
namespace detail {

XLENS_API head_reader::head_reader(const block_type& block, rows<const float> directions,
                                   rows<const float> outputs)
    : m_block(&block),
      m_outputs(outputs),
      m_scale(directions.count(), 1.0),
      m_bias(directions.count(), 0.0) {
    const auto& output = block.attention.output;
    const auto& norm = block.attention_post_norm;
    std::vector<float> gain;
    if (norm || block.residual_scale != 1.0F) {
        gain.assign(directions.width(), block.residual_scale);
    }
    for (std::size_t d = 0; norm && d < gain.size(); ++d) { gain[d] *= norm->gain(d); }
    m_read = xt::empty<float>({directions.count(), outputs.width()});
    value_matrix<any_matrix>(output.weight, gain).products(directions, m_read);
    if (!norm) { return; }
    xt::xtensor<float, 2> sums = xt::empty<float>({directions.count(), directions.width()});
    output(outputs, sums);
    for (std::size_t n = 0; n < directions.count(); ++n) {
        m_scale[n] = scale_at(rows<const float>(sums)[n]);
        for (std::size_t d = 0; d < output.bias.size(); ++d) {
            m_bias[n] +=
                m_scale[n] * double{gain[d]} * double{directions[n][d]} * double{output.bias(d)};
        }
    }
}

/// 1/ρ of the norm behind the attention, of what it norms (D).
XLENS_API double head_reader::scale_at(std::span<const float> sum) const {
    const double squares = kernels::dot_in_double(sum, sum);
    return 1.0 / std::sqrt(squares / static_cast<double>(sum.size()) +
                           double{m_block->attention_post_norm->epsilon});
}

XLENS_API double head_reader::contribution(std::size_t n, std::size_t h,
                                           std::span<const float> z) const {
    const std::span<const float> read = rows<const float>(m_read)[n];
    return m_scale[n] * kernels::dot_in_double(read.subspan(h * z.size(), z.size()), z);
}

XLENS_API attention_shares head_reader::shares(std::size_t n, double attention) const {
    const std::size_t size = m_block->attention.shape.head_size;
    attention_shares out;
    double sum = m_bias[n];
    for (std::size_t h = 0; h < m_block->attention.shape.heads; ++h) {
        const double adds = contribution(n, h, m_outputs[n].subspan(h * size, size));
        out.heads.push_back(static_cast<float>(adds));
        sum += adds;
    }
    out.bias = static_cast<float>(m_bias[n]);
    out.gap = static_cast<float>(attention - sum);
    return out;
}

XLENS_API head_sources head_reader::sources(std::size_t n, const observe_sources& seen) const {
    const rows<const float> values = seen.source_values();
    const std::span<const float> weights = seen.source_weights();
    const std::size_t h = seen.which().index;
    const std::size_t size = values.width();
    const double whole = contribution(n, h, m_outputs[n].subspan(h * size, size));
    head_sources out{seen.which(), static_cast<float>(whole), {}, 0.0F};
    double sum = 0.0;
    for (std::size_t s = 0; s < weights.size(); ++s) {
        // What is not seen may hold anything, an infinity too.
        const double adds =
            weights[s] == 0.0F ? 0.0 : double{weights[s]} * contribution(n, h, values[s]);
        out.sources.push_back({weights[s], static_cast<float>(adds)});
        sum += adds;
    }
    out.gap = static_cast<float>(whole - sum);
    return out;
}

}  // namespace detail
#endif

}  // namespace xlens
