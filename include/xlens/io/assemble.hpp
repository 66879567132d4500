// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/error.hpp>
#include <xlens/io/assemble_wikilm.hpp>
#include <xlens/io/checkpoint.hpp>
#include <xlens/io/model_parts.hpp>
#include <xlens/model/transformer.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <type_traits>

namespace xlens {

namespace detail {

template <class Attention, weight_matrix Weights>
void read_attention(const model_parts<Weights>& parts, const architecture& kind,
                    const hyperparameters& p, const std::string& prefix, Attention& a) {
    a.shape = {p.heads, p.kv_heads, p.head_size, p.window,
               1.0F / std::sqrt(static_cast<float>(p.head_size))};
    parts.read(prefix, a.query, a.key, a.value);
    a.output = parts.dense(prefix + "attn_output", p.width, p.heads * p.head_size);
    using head_norm = decltype(a.query_norm);
    if constexpr (!std::is_same_v<head_norm, no_head_norm>) {
        if (!kind.head_norm) { return; }
        const auto read = [&](const char* name) {
            return rms_head_norm{parts.template norm<rms_norm>(prefix + name, p.head_size)};
        };
        a.query_norm = head_norm{read("attn_q_norm")};
        a.key_norm = head_norm{read("attn_k_norm")};
    }
}

template <class FeedForward, weight_matrix Weights>
FeedForward read_ffn(const model_parts<Weights>& parts, const architecture& kind,
                     const hyperparameters& p, const std::string& prefix) {
    using activation = typename FeedForward::activation_type;
    const linear<Weights> up = parts.dense(prefix + "ffn_up", p.inner_width, p.width);
    const linear<Weights> values = parts.dense(prefix + "ffn_down", p.width, p.inner_width);
    activation how{};
    if constexpr (std::is_same_v<activation, any_activation>) { how = kind.activation; }
    const auto gate = [&] { return parts.dense(prefix + "ffn_gate", p.inner_width, p.width); };
    if constexpr (!std::is_constructible_v<FeedForward, linear<Weights>, linear<Weights>>) {
        return {gate(), up, values, how};
    } else if constexpr (requires(FeedForward f) { f.gate_layer(); }) {
        return kind.gated ? FeedForward(gate(), up, values, how) : FeedForward(up, values, how);
    } else {
        return {up, values, how};
    }
}

template <class Preset, weight_matrix Weights>
block<Preset, Weights> read_block(const model_parts<Weights>& parts, const architecture& kind,
                                  const hyperparameters& p, std::size_t layer) {
    using block_type = block<Preset, Weights>;
    using norm_type = typename block_type::norm_type;
    const std::string prefix = fmt::format("blk.{}.", layer);
    block_type out;
    out.attention_norm = parts.template norm<norm_type>(prefix + "attn_norm", p.width, kind.norm);
    read_attention(parts, kind, p, prefix, out.attention);
    out.ffn_norm = parts.template norm<norm_type>(prefix + "ffn_norm", p.width, kind.norm);
    out.ffn = read_ffn<typename block_type::feed_forward_type>(parts, kind, p, prefix);
    out.parallel_residual = p.parallel_residual;
    return out;
}

/// The file's architecture, if the preset runs it.
template <class Preset>
architecture kind_of(const checkpoint& file) {
    const std::string& name = file.config().architecture;
    if constexpr (std::is_same_v<Preset, presets::any>) {
        for (const architecture& kind : architectures()) {
            if (kind.name == name) { return kind; }
        }
        fail("{}: architecture: expected a known one, got {}", file.name(), name);
    } else {
        if (!presets::runs<Preset>(name)) {
            fail("{}: architecture: expected {}, got {}", file.name(),
                 joined(Preset::architectures, " or "), name);
        }
        return architecture_of<Preset>(name);
    }
}

}  // namespace detail

/// The transformer of a checkpoint, in place: only biases and norms are copied. Its parts are data
/// (presets::any), or fixed by a preset; `Weights` is any_matrix, or matrix<Format> for a file
/// whose matrices all have that format. The architecture's parts decide which tensors are read.
/// Throws xlens::error on a missing tensor, another shape, format or architecture.
template <class Preset = presets::any, weight_matrix Weights = any_matrix>
transformer<Preset, Weights> assemble(const checkpoint& file) {
    const hyperparameters& p = file.config();
    const architecture kind = detail::kind_of<Preset>(file);
    const detail::model_parts<Weights> parts(file);
    transformer<Preset, Weights> model;
    model.config = p;
    parts.read(kind, model.position);
    for (std::size_t l = 0; l < p.layers; ++l) {
        model.blocks.push_back(detail::read_block<Preset>(parts, kind, p, l));
    }
    if (p.final_norm) {
        using norm_type = typename Preset::norm;
        model.final_norm = parts.template norm<norm_type>("output_norm", p.width, kind.norm);
    }
    if (!p.cutoffs.empty()) {
        detail::read_adaptive(file, model.embedding, model.unembedding);
    } else {
        parts.read(model.embedding, model.unembedding);
    }
    return model;
}
/// Refused: the transformer points into the file, which would be closed at once. Keep the
/// checkpoint in a variable that outlives the transformer, or call xlens::load, whose model keeps
/// its file.
template <class Preset = presets::any, weight_matrix Weights = any_matrix>
transformer<Preset, Weights> assemble(const checkpoint&&) = delete;

#if !XLENS_DEFINES(io)
// From the compiled library.
extern template transformer<> assemble<presets::any, any_matrix>(const checkpoint&);
#endif

}  // namespace xlens
