// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/io/checkpoint.hpp>
#include <xlens/io/weights_as.hpp>
#include <xlens/model/presets.hpp>
#include <xlens/nn/embedding.hpp>
#include <xlens/nn/linear.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/nn/position.hpp>
#include <xlens/nn/unembedding.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <type_traits>

namespace xlens::detail {

/// Reads the parts of a model from a checkpoint, each by the tensors that it needs; what is
/// optional in the field (biases) is read where the file has it. Knows storage types, not presets,
/// so that all architectures share it.
template <weight_matrix Weights>
class model_parts {
public:
    explicit model_parts(const checkpoint& file) : m_file(file), m_config(file.config()) {}

    [[nodiscard]] Weights matrix(const std::string& name, std::size_t rows,
                                 std::size_t cols) const {
        return weights_as<Weights>(m_file.matrix(name, rows, cols), m_file.name(), name);
    }
    [[nodiscard]] linear<Weights> dense(const std::string& stem, std::size_t rows,
                                        std::size_t cols) const {
        linear<Weights> out;
        out.weight = matrix(stem + ".weight", rows, cols);
        out.bias = m_file.optional_vector(stem + ".bias", rows);
        return out;
    }
    /// A norm of that type; of any_norm, of that kind.
    template <class Norm>
    [[nodiscard]] Norm norm(const std::string& stem, std::size_t size,
                            [[maybe_unused]] norm_kind kind = norm_kind::rms) const {
        Norm out;
        if constexpr (requires { out.kind; }) { out.kind = kind; }
        out.gain = m_file.vector(stem + ".weight", size);
        if constexpr (requires { out.bias; }) {
            if (!std::is_same_v<Norm, any_norm> || kind == norm_kind::layer) {
                out.bias = m_file.optional_vector(stem + ".bias", size);
            }
        }
        out.epsilon = m_config.norm_epsilon;
        return out;
    }

    /// The query, key and value projections of a layer, from three matrices or one.
    void read(const std::string& prefix, linear<Weights>& query, linear<Weights>& key,
              linear<Weights>& value) const {
        if (m_file.has(prefix + "attn_qkv.weight")) {
            return read_fused(prefix, {&query, &key, &value});
        }
        const std::size_t all = m_config.heads * m_config.head_size;
        const std::size_t kv = m_config.kv_heads * m_config.head_size;
        query = dense(prefix + "attn_q", all, m_config.width);
        key = dense(prefix + "attn_k", kv, m_config.width);
        value = dense(prefix + "attn_v", kv, m_config.width);
    }

    void read(embedding<Weights>& in, unembedding<Weights>& out) const {
        const std::size_t v = m_config.vocabulary;
        const Weights table = matrix("token_embd.weight", v, m_config.width);
        in.clusters.push_back({0, table, {}});
        in.scale = m_config.embedding_scale;
        const bool tied = m_config.tied && !m_file.has("output.weight");
        out.sections.push_back({0, tied ? table : matrix("output.weight", v, m_config.width), {}});
    }

    /// The positions of an architecture, in the type that the model has for them.
    template <class Positions>
    void read(const architecture& kind, Positions& position) const {
        if constexpr (std::is_same_v<Positions, any_positions<Weights>>) {
            position.kind = kind.position;
            if (kind.position == position_kind::rotary) { read(position.rotary); }
            if (kind.position == position_kind::learned) { read(position.learned); }
            if (kind.position == position_kind::sinusoidal) { read(position.sinusoidal); }
        } else {
            read(position);
        }
    }
    void read(rotary_positions<Weights>& position) const {
        rope_scaling scaling = m_config.rotary_scaling;
        if (m_file.has("rope_freqs.weight")) {
            const auto divisors = m_file.vector("rope_freqs.weight", m_config.rotary_size / 2);
            scaling = rope_divisors{{divisors.begin(), divisors.end()}};
        }
        position.table = rope_table(m_config.rotary_size, m_config.rotary_base, scaling);
        position.style = m_config.rotary_style;
    }
    void read(learned_positions<Weights>& position) const {
        position.table = matrix("position_embd.weight", m_config.context, m_config.width);
    }
    void read(sinusoidal_positions<Weights>& position) const {
        position.origin = m_config.position_origin;
    }

private:
    /// Query, key and value rows in one matrix: one after the other, or head by head (the Hugging
    /// Face files of GPT-NeoX). Either way three views of it.
    void read_fused(const std::string& prefix, const std::array<linear<Weights>*, 3>& parts) const {
        const std::size_t size = m_config.head_size;
        const std::size_t all = m_config.heads * size;
        const std::size_t kv = m_config.kv_heads * size;
        const any_matrix fused =
            m_file.matrix(prefix + "attn_qkv.weight", all + 2 * kv, m_config.width);
        const auto bias = m_file.optional_vector(prefix + "attn_qkv.bias", all + 2 * kv);
        const bool by_head =
            m_config.architecture == "gpt_neox" && m_file.names() == tensor_names::hugging_face;
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
    static xt::xtensor<float, 1> grouped(const xt::xtensor<float, 1>& from,
                                         const row_groups& rows) {
        if (from.size() == 0) { return from; }
        xt::xtensor<float, 1> out = xt::empty<float>({rows.count});
        for (std::size_t r = 0; r < rows.count; ++r) { out(r) = from(rows(r)); }
        return out;
    }

    const checkpoint& m_file;
    const hyperparameters& m_config;
};

}  // namespace xlens::detail
