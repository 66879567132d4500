// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/error.hpp>
#include <xlens/io/assemble_wikilm.hpp>
#include <xlens/io/checkpoint.hpp>
#include <xlens/io/model_parts.hpp>
#include <xlens/model/transformer.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace xlens {

namespace detail {

/// ALiBi's slopes (2108.12409), largest exponent `bias`; none for 0. Heads beyond
/// a power of two take every second slope of twice as many.
inline std::vector<float> alibi_slopes(std::size_t heads, float bias) {
    std::vector<float> out;
    if (bias == 0.0F) { return out; }
    const std::size_t whole = std::bit_floor(heads);
    for (std::size_t h = 0; h < heads; ++h) {
        const auto step = static_cast<float>(h < whole ? 2 * (h + 1) : 2 * (h - whole) + 1);
        out.push_back(std::exp2(-bias * step / static_cast<float>(2 * whole)));
    }
    return out;
}

template <class Attention, weight_matrix Weights>
void read_attention(const model_parts<Weights>& parts, const architecture& kind,
                    const hyperparameters& p, std::size_t layer, const std::string& prefix,
                    Attention& a) {
    const layer_settings& own = p.per_layer[layer];
    a.shape = {.heads = p.heads,
               .kv_heads = p.kv_heads,
               .head_size = p.head_size,
               .window = own.window,
               .scale = p.attention_scale != 0.0F
                            ? p.attention_scale
                            : 1.0F / std::sqrt(static_cast<float>(p.head_size)),
               .cap = p.attention_cap,
               .slopes = alibi_slopes(p.heads, p.alibi_bias),
               .sinks = {}};
    a.rope = own.rope;
    a.clip = p.clip;
    parts.read(prefix, a.query, a.key, a.value);
    a.output = parts.dense(prefix + "attn_output", p.width, p.heads * p.head_size);
    if (kind.sinks) { a.shape.sinks = parts.numbers(prefix + "attn_sinks.weight", p.heads); }
    using head_norm = decltype(a.query_norm);
    if constexpr (!std::is_same_v<head_norm, no_head_norm>) {
        if (kind.head_norm == head_norm_kind::none || !p.head_norms) { return; }
        const auto read = [&](const char* name, [[maybe_unused]] std::size_t heads) {
            if constexpr (std::is_same_v<head_norm, any_head_norm>) {
                return parts.head_norms(prefix + name, kind.head_norm, heads);
            } else {
                return head_norm{parts.template norm<rms_norm>(prefix + name, p.head_size)};
            }
        };
        a.query_norm = read("attn_q_norm", p.heads);
        a.key_norm = read("attn_k_norm", p.kv_heads);
    }
}

template <class FeedForward, weight_matrix Weights>
FeedForward read_ffn(const model_parts<Weights>& parts, const architecture& kind,
                     const hyperparameters& p, const std::string& prefix) {
    using activation = typename FeedForward::activation_type;
    activation how{};
    if constexpr (std::is_same_v<activation, any_activation>) { how = kind.activation; }
    if (p.experts != 0) {
        if constexpr (std::is_constructible_v<FeedForward, experts<Weights>, activation>) {
            return {parts.read_experts(prefix), how};
        } else {
            fail("{}: a mixture of experts, which a preset's layers are not", p.family);
        }
    }
    linear<Weights> gate;
    linear<Weights> up;
    if (kind.gated) {
        parts.read_gated(prefix, gate, up);
    } else {
        up = parts.dense(prefix + "ffn_up", p.inner_width, p.width);
    }
    const linear<Weights> values = parts.dense(prefix + "ffn_down", p.width, p.inner_width);
    if constexpr (!std::is_constructible_v<FeedForward, linear<Weights>, linear<Weights>>) {
        return {gate, up, values, how};
    } else if constexpr (requires(FeedForward f) { f.gate_layer(); }) {
        return kind.gated ? FeedForward(gate, up, values, how) : FeedForward(up, values, how);
    } else {
        return {up, values, how};
    }
}

/// The norms before the parts of a layer. Falcon's files of two call them after what they precede.
template <class Block, weight_matrix Weights>
void read_norms_before(const model_parts<Weights>& parts, const architecture& kind,
                       const hyperparameters& p, const std::string& prefix, Block& out) {
    using norm_type = typename Block::norm_type;
    const auto norm = [&](const char* name) {
        return parts.template norm<norm_type>(prefix + name, p.width, kind.norm, kind.norm_gain);
    };
    const bool shared = kind.norms == norm_places::shared || p.shared_norm;
    out.parallel_residual = p.parallel_residual || kind.norms == norm_places::shared;
    if (kind.norms == norm_places::after) { return; }
    const bool two = kind.name == "falcon" && p.parallel_residual && !shared;
    out.attention_norm = norm(two ? "attn_norm_2" : "attn_norm");
    const bool oss = kind.name == "gpt_oss" && !parts.in_folder();
    out.ffn_norm = shared              ? *out.attention_norm
                   : oss               ? norm("post_attention_norm")
                   : !two              ? norm("ffn_norm")
                   : parts.in_folder() ? norm("attn_norm_1")
                                       : norm("attn_norm");
}

/// The norms and multipliers behind the parts of a layer.
template <class Block, weight_matrix Weights>
void read_norms_behind(const model_parts<Weights>& parts, const architecture& kind,
                       const hyperparameters& p, const std::string& prefix, Block& out) {
    const auto norm = [&](const char* name) {
        return parts.template norm<rms_norm>(prefix + name, p.width);
    };
    std::optional<rms_norm> of_ffn;
    if (kind.norms == norm_places::after || kind.norms == norm_places::both) {
        out.attention_post_norm = norm("post_attention_norm");
        of_ffn = norm("post_ffw_norm");
    }
    out.residual_scale = p.residual_scale;
    out.ffn.writes_through(std::move(of_ffn), p.residual_scale);
}

template <class Preset, weight_matrix Weights>
block<Preset, Weights> read_block(const model_parts<Weights>& parts, const architecture& kind,
                                  const hyperparameters& p, std::size_t layer) {
    using block_type = block<Preset, Weights>;
    const std::string prefix = fmt::format("blk.{}.", layer);
    block_type out;
    read_norms_before(parts, kind, p, prefix, out);
    read_attention(parts, kind, p, layer, prefix, out.attention);
    out.ffn = read_ffn<typename block_type::feed_forward_type>(parts, kind, p, prefix);
    read_norms_behind(parts, kind, p, prefix, out);
    return out;
}

/// The final norm, times the scale of the logits.
template <class Norm>
Norm scaled(Norm norm, float by) {
    if (by == 1.0F) { return norm; }
    norm.gain *= by;
    if constexpr (requires { norm.bias; }) {
        if (norm.bias.size() > 0) { norm.bias *= by; }
    }
    return norm;
}

/// The file's architecture, if the preset runs it, with the activation that the file names.
template <class Preset>
architecture kind_of(const checkpoint& file) {
    const std::string& name = file.config().architecture;
    const std::string& activation = file.config().activation;
    if constexpr (std::is_same_v<Preset, presets::any>) {
        architecture kind = architecture_named(name);
        if (!activation.empty()) { kind.activation = *activation_named(activation); }
        return kind;
    } else {
        if (!presets::runs<Preset>(name)) {
            fail("{}: architecture: expected {}, got {}", file.name(),
                 joined(Preset::architectures, " or "), name);
        }
        const architecture kind = architecture_of<Preset>(name);
        if (!activation.empty() && activation_named(activation)->name != kind.activation.name) {
            fail("{}: activation: expected {} for {}, got '{}'", file.name(), kind.activation.name,
                 name, printable(activation));
        }
        return kind;
    }
}

}  // namespace detail

/// The transformer of a checkpoint, in place: only biases and norms are copied. Its parts are data
/// (presets::any), or fixed by a preset; `Weights` is any_matrix, or matrix<Format> for a file
/// whose matrices all have that format. The architecture's parts decide which tensors are read.
/// Throws xlens::error on a missing tensor, another shape, format or architecture, and for a
/// tensor that no part reads.
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
        model.final_norm = detail::scaled(
            parts.template norm<norm_type>("output_norm", p.width, kind.norm, kind.norm_gain),
            p.logit_scale);
    }
    if (!p.cutoffs.empty()) {
        detail::read_adaptive(file, model.embedding, model.unembedding);
    } else {
        parts.read(model.embedding, model.unembedding);
    }
    if (kind.embedding_norm) {
        using norm_type = typename Preset::norm;
        model.embedding_norm =
            parts.template norm<norm_type>("token_embd_norm", p.width, kind.norm);
    }
    file.check_all_read();
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
