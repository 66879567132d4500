// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/io/assemble_wikilm.hpp>
#include <xlens/io/checkpoint.hpp>
#include <xlens/io/weights_as.hpp>
#include <xlens/model/transformer.hpp>

#include <cmath>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

// Puts a transformer together from a checkpoint's tensors. What a preset's types need decides which
// tensors are read; what is optional in the field (biases) is read where the file has it.

namespace xlens {

namespace detail {

template <class Preset, class Weights>
class assembler {
public:
    explicit assembler(const checkpoint& file) : m_file(file), m_config(file.config()) {}

    [[nodiscard]] transformer<Preset, Weights> operator()() const {
        transformer<Preset, Weights> model;
        model.config = m_config;
        read_position(model.position);
        for (std::size_t l = 0; l < m_config.layers; ++l) { model.blocks.push_back(layer(l)); }
        if (m_config.final_norm) { model.final_norm = norm("output_norm"); }
        if constexpr (std::is_same_v<Preset, presets::wikilm>) {
            read_adaptive(m_file, model.embedding, model.unembedding);
        } else {
            read_dense(model);
        }
        return model;
    }

private:
    using model_type = transformer<Preset, Weights>;
    using block_type = typename model_type::block_type;
    using feed_forward_type = typename block_type::feed_forward_type;

    [[nodiscard]] Weights matrix(const std::string& name, std::size_t rows, std::size_t cols) const {
        return weights_as<Weights>(m_file.matrix(name, rows, cols), m_file.name(), name);
    }
    [[nodiscard]] linear<Weights> dense(const std::string& stem, std::size_t rows,
                                        std::size_t cols) const {
        return {matrix(stem + ".weight", rows, cols), m_file.optional_vector(stem + ".bias", rows)};
    }
    [[nodiscard]] auto norm(const std::string& stem) const {
        typename Preset::norm out;
        out.gain = m_file.vector(stem + ".weight", m_config.width);
        if constexpr (requires { out.bias; }) {
            out.bias = m_file.optional_vector(stem + ".bias", m_config.width);
        }
        out.epsilon = m_config.norm_epsilon;
        return out;
    }

    [[nodiscard]] block_type layer(std::size_t l) const {
        const std::string prefix = fmt::format("blk.{}.", l);
        block_type block;
        block.attention_norm = norm(prefix + "attn_norm");
        block.ffn_norm = norm(prefix + "ffn_norm");
        block.parallel_residual = m_config.parallel_residual;
        read_attention(prefix, block.attention);
        block.ffn = ffn(prefix);
        return block;
    }

    [[nodiscard]] feed_forward_type ffn(const std::string& prefix) const {
        const std::size_t d = m_config.width;
        const std::size_t f = m_config.inner_width;
        linear<Weights> up = dense(prefix + "ffn_up", f, d);
        linear<Weights> values = dense(prefix + "ffn_down", d, f);
        if constexpr (feed_forward_type::is_gated) {
            return {dense(prefix + "ffn_gate", f, d), std::move(up), std::move(values)};
        } else {
            return {std::move(up), std::move(values)};
        }
    }

    void read_attention(const std::string& prefix, typename block_type::attention_type& a) const {
        const std::size_t size = m_config.head_size;
        const std::size_t all = m_config.heads * size;
        const std::size_t kv = m_config.kv_heads * size;
        a.shape = {m_config.heads, m_config.kv_heads, size, m_config.window,
                   1.0F / std::sqrt(static_cast<float>(size))};
        a.output = dense(prefix + "attn_output", m_config.width, all);
        if (m_file.has(prefix + "attn_qkv.weight")) {
            read_fused(prefix, a);
        } else {
            a.query = dense(prefix + "attn_q", all, m_config.width);
            a.key = dense(prefix + "attn_k", kv, m_config.width);
            a.value = dense(prefix + "attn_v", kv, m_config.width);
        }
        if constexpr (std::is_same_v<typename Preset::head_norm, rms_head_norm>) {
            a.query_norm.norm = {m_file.vector(prefix + "attn_q_norm.weight", size),
                                 m_config.norm_epsilon};
            a.key_norm.norm = {m_file.vector(prefix + "attn_k_norm.weight", size),
                               m_config.norm_epsilon};
        }
    }

    /// Query, key and value rows in one matrix: one after the other, or head by head (the Hugging
    /// Face files of GPT-NeoX). Either way three views of it.
    void read_fused(const std::string& prefix, typename block_type::attention_type& a) const {
        const std::size_t size = m_config.head_size;
        const std::size_t all = m_config.heads * size;
        const std::size_t kv = m_config.kv_heads * size;
        const any_matrix fused =
            m_file.matrix(prefix + "attn_qkv.weight", all + 2 * kv, m_config.width);
        const auto bias = m_file.optional_vector(prefix + "attn_qkv.bias", all + 2 * kv);
        const bool by_head = m_config.architecture == "gpt_neox" &&
                             std::holds_alternative<hugging_face_folder>(m_file.origin());
        linear<Weights>* const parts[] = {&a.query, &a.key, &a.value};
        const std::size_t starts[] = {0, all, all + kv};
        for (std::size_t p = 0; p < 3; ++p) {
            const std::size_t count = p == 0 ? all : kv;
            const row_groups rows = by_head ? row_groups{p * size, size, 3 * size, all}
                                            : row_groups{starts[p], count, count, count};
            parts[p]->weight = weights_as<Weights>(fused.group_rows(rows), m_file.name(),
                                                   prefix + "attn_qkv.weight");
            parts[p]->bias = grouped(bias, rows);
        }
    }
    static xt::xtensor<float, 1> grouped(const xt::xtensor<float, 1>& from, const row_groups& rows) {
        if (from.size() == 0) { return from; }
        xt::xtensor<float, 1> out = xt::empty<float>({rows.count});
        for (std::size_t r = 0; r < rows.count; ++r) { out(r) = from(rows(r)); }
        return out;
    }

    void read_position(typename model_type::position_type& position) const {
        if constexpr (model_type::position_type::rotates) {
            rope_scaling scaling = m_config.rotary_scaling;
            if (m_file.has("rope_freqs.weight")) {
                const auto divisors = m_file.vector("rope_freqs.weight", m_config.rotary_size / 2);
                scaling = rope_divisors{{divisors.begin(), divisors.end()}};
            }
            position.table = rope_table(m_config.rotary_size, m_config.rotary_base, scaling);
            position.style = m_config.rotary_style;
        } else if constexpr (requires { position.origin; }) {
            position.origin = m_config.position_origin;
        } else {
            position.table = matrix("position_embd.weight", m_config.context, m_config.width);
        }
    }

    void read_dense(model_type& model) const {
        const std::size_t v = m_config.vocabulary;
        const Weights table = matrix("token_embd.weight", v, m_config.width);
        model.embedding.clusters.push_back({0, table, {}});
        model.embedding.scale = m_config.embedding_scale;
        const Weights out = m_file.has("output.weight")
                                ? matrix("output.weight", v, m_config.width)
                                : table;  // tied
        model.unembedding.sections.push_back({0, out, {}});
    }

    const checkpoint& m_file;
    const hyperparameters& m_config;
};

}  // namespace detail

/// The transformer of a checkpoint, in place: only biases and norms are copied. `Weights` is
/// any_matrix, or matrix<Format> for a file whose matrices all have that format.
/// Throws xlens::error on a missing tensor, another shape, format or architecture.
template <class Preset, class Weights = any_matrix>
transformer<Preset, Weights> assemble(const checkpoint& file) {
    if (file.config().architecture != Preset::name) {
        fail("{}: architecture: expected {}, got {}", file.name(), Preset::name,
             file.config().architecture);
    }
    return detail::assembler<Preset, Weights>(file)();
}

}  // namespace xlens
