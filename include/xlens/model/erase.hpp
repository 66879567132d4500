// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/model/transformer.hpp>
#include <xlens/nn/attention.hpp>
#include <xlens/nn/block.hpp>
#include <xlens/nn/embedding.hpp>
#include <xlens/nn/feed_forward.hpp>
#include <xlens/nn/linear.hpp>
#include <xlens/nn/position.hpp>
#include <xlens/nn/unembedding.hpp>
#include <xlens/storage/any_matrix.hpp>

#include <type_traits>

// A transformer whose architecture or formats are fixed by its type, as one whose parts are data:
// the weights are borrowed from where they lie, norms and biases copied. What analyses take.

namespace xlens {

namespace detail {

template <weight_matrix Weights>
linear<any_matrix> erased(const linear<Weights>& l) {
    return {any_matrix(l.weight), l.bias};
}
template <weight_matrix Weights>
learned_positions<any_matrix> erased(const learned_positions<Weights>& p) {
    learned_positions<any_matrix> out;
    out.table = any_matrix(p.table);
    out.offset = p.offset;
    return out;
}
template <weight_matrix Weights>
sinusoidal_positions<any_matrix> erased(const sinusoidal_positions<Weights>& p) {
    sinusoidal_positions<any_matrix> out;
    out.origin = p.origin;
    return out;
}
template <weight_matrix Weights>
rotary_positions<any_matrix> erased(const rotary_positions<Weights>& p) {
    return {p.table, p.second, p.style};
}
inline any_head_norm erased(const no_head_norm&) { return {}; }
inline any_head_norm erased(const rms_head_norm& n) { return {{any_norm(n.norm)}}; }

template <class Attention>
auto erased_attention(const Attention& a) {
    return attention<any_positions<any_matrix>, any_head_norm, any_matrix>{erased(a.query),
                                                                           erased(a.key),
                                                                           erased(a.value),
                                                                           erased(a.output),
                                                                           erased(a.query_norm),
                                                                           erased(a.key_norm),
                                                                           a.shape,
                                                                           a.rope,
                                                                           a.clip};
}
template <class Activation, class Gate, weight_matrix Weights>
auto erased_ffn(const feed_forward<Activation, Gate, Weights>& f) {
    using out = feed_forward<any_activation, any_gate, any_matrix>;
    out erased_ffn;
    if constexpr (std::is_same_v<Gate, gated>) {
        erased_ffn = out(erased(f.gate_layer()), erased(f.up_layer()), erased(f.value_layer()),
                         f.activation());
    } else {
        erased_ffn = out(erased(f.up_layer()), erased(f.value_layer()), f.activation());
    }
    erased_ffn.writes_through(f.post_norm(), f.multiplier());
    return erased_ffn;
}

}  // namespace detail

/// The same transformer with parts that are data; itself where they are.
template <class Preset, weight_matrix Weights>
[[nodiscard]] transformer<> erased(const transformer<Preset, Weights>& from) {
    if constexpr (std::is_same_v<Preset, presets::any> && std::is_same_v<Weights, any_matrix>) {
        return from;
    } else {
        transformer<> out;
        out.config = from.config;
        for (const auto& c : from.embedding.clusters) {
            out.embedding.clusters.push_back({c.first, any_matrix(c.table), c.projection});
        }
        out.embedding.scale = from.embedding.scale;
        if (from.embedding_norm) { out.embedding_norm = *from.embedding_norm; }
        out.position = detail::erased(from.position);
        for (const auto& b : from.blocks) {
            out.blocks.push_back({b.attention_norm, detail::erased_attention(b.attention),
                                  b.attention_post_norm, b.ffn_norm, detail::erased_ffn(b.ffn),
                                  b.residual_scale, b.parallel_residual});
        }
        if (from.final_norm) { out.final_norm = *from.final_norm; }
        for (const auto& s : from.unembedding.sections) {
            out.unembedding.sections.push_back({s.first, any_matrix(s.out), s.projection});
        }
        if (from.unembedding.classes) { out.unembedding.classes = *from.unembedding.classes; }
        out.unembedding.bias = from.unembedding.bias;
        out.unembedding.cap = from.unembedding.cap;
        out.cache = from.cache;
        return out;
    }
}

}  // namespace xlens
