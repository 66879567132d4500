// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/io/assemble_wikilm.hpp>
#include <xlens/io/checkpoint.hpp>
#include <xlens/io/model_parts.hpp>
#include <xlens/model/transformer.hpp>

#include <cmath>
#include <cstddef>
#include <string>
#include <type_traits>

namespace xlens {

namespace detail {

template <class Attention, weight_matrix Weights>
void read_attention(const model_parts<Weights>& parts, const hyperparameters& p,
                    const std::string& prefix, Attention& a) {
    a.shape = {p.heads, p.kv_heads, p.head_size, p.window,
               1.0F / std::sqrt(static_cast<float>(p.head_size))};
    parts.read(prefix, a.query, a.key, a.value);
    a.output = parts.dense(prefix + "attn_output", p.width, p.heads * p.head_size);
    if constexpr (requires { a.query_norm.norm; }) {
        a.query_norm.norm = parts.template norm<rms_norm>(prefix + "attn_q_norm", p.head_size);
        a.key_norm.norm = parts.template norm<rms_norm>(prefix + "attn_k_norm", p.head_size);
    }
}

template <class FeedForward, weight_matrix Weights>
FeedForward read_ffn(const model_parts<Weights>& parts, const hyperparameters& p,
                     const std::string& prefix) {
    const linear<Weights> up = parts.dense(prefix + "ffn_up", p.inner_width, p.width);
    const linear<Weights> values = parts.dense(prefix + "ffn_down", p.width, p.inner_width);
    if constexpr (FeedForward::is_gated) {
        return {parts.dense(prefix + "ffn_gate", p.inner_width, p.width), up, values};
    } else {
        return {up, values};
    }
}

template <class Preset, weight_matrix Weights>
block<Preset, Weights> read_block(const model_parts<Weights>& parts, const hyperparameters& p,
                                  std::size_t layer) {
    using block_type = block<Preset, Weights>;
    using norm_type = typename block_type::norm_type;
    const std::string prefix = fmt::format("blk.{}.", layer);
    block_type out;
    out.attention_norm = parts.template norm<norm_type>(prefix + "attn_norm", p.width);
    read_attention(parts, p, prefix, out.attention);
    out.ffn_norm = parts.template norm<norm_type>(prefix + "ffn_norm", p.width);
    out.ffn = read_ffn<typename block_type::feed_forward_type>(parts, p, prefix);
    out.parallel_residual = p.parallel_residual;
    return out;
}

}  // namespace detail

/// The transformer of a checkpoint, in place: only biases and norms are copied. `Weights` is
/// any_matrix, or matrix<Format> for a file whose matrices all have that format. What the preset's
/// types need decides which tensors are read.
/// Throws xlens::error on a missing tensor, another shape, format or architecture.
template <class Preset, weight_matrix Weights = any_matrix>
transformer<Preset, Weights> assemble(const checkpoint& file) {
    const hyperparameters& p = file.config();
    if (!presets::runs<Preset>(p.architecture)) {
        fail("{}: architecture: expected {}, got {}", file.name(),
             joined(Preset::architectures, " or "), p.architecture);
    }
    const detail::model_parts<Weights> parts(file);
    transformer<Preset, Weights> model;
    model.config = p;
    parts.read(model.position);
    for (std::size_t l = 0; l < p.layers; ++l) {
        model.blocks.push_back(detail::read_block<Preset>(parts, p, l));
    }
    if (p.final_norm) {
        model.final_norm = parts.template norm<typename Preset::norm>("output_norm", p.width);
    }
    if constexpr (std::is_same_v<Preset, presets::wikilm>) {
        detail::read_adaptive(file, model.embedding, model.unembedding);
    } else {
        parts.read(model.embedding, model.unembedding);
    }
    return model;
}

}  // namespace xlens
