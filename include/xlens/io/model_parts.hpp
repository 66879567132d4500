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
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

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
    /// Of a Hugging Face folder, not of GGUF.
    [[nodiscard]] bool in_folder() const { return m_file.names() == tensor_names::hugging_face; }

    /// A norm of that type; of any_norm, of that kind. `with_gain`: false for a norm without
    /// parameters.
    template <class Norm>
    [[nodiscard]] Norm norm(const std::string& stem, std::size_t size,
                            [[maybe_unused]] norm_kind kind = norm_kind::rms,
                            bool with_gain = true) const {
        Norm out;
        if constexpr (requires { out.kind; }) { out.kind = kind; }
        out.epsilon = m_config.norm_epsilon;
        if (!with_gain) {
            out.gain = xt::ones<float>({size});
            return out;
        }
        out.gain = m_file.vector(stem + ".weight", size);
        if (m_file.family().gain_plus_one && in_folder()) { out.gain += 1.0F; }
        if constexpr (requires { out.bias; }) {
            if (!std::is_same_v<Norm, any_norm> || kind == norm_kind::layer) {
                out.bias = m_file.optional_vector(stem + ".bias", size);
            }
        }
        return out;
    }
    /// The norms of queries or of keys, of `heads` heads: `stem` is attn_q_norm or attn_k_norm.
    [[nodiscard]] any_head_norm head_norms(const std::string& stem, head_norm_kind kind,
                                           std::size_t heads) const {
        const std::size_t size = m_config.head_size;
        if (kind == head_norm_kind::head) { return {{norm<any_norm>(stem, size)}}; }
        if (kind == head_norm_kind::row) { return {{norm<any_norm>(stem, heads * size)}}; }
        any_head_norm out;
        const bool apart = !m_file.has(stem + ".weight");  // one tensor a head (StableLM)
        for (std::size_t h = 0; h < heads; ++h) {
            if (apart) {
                out.norms.push_back(
                    norm<any_norm>(fmt::format("{}.{}", stem, h), size, norm_kind::layer));
                continue;
            }
            any_norm one;
            one.kind = norm_kind::layer;
            one.epsilon = m_config.norm_epsilon;
            one.gain = xt::empty<float>({size});
            m_file.matrix(stem + ".weight", heads, size).row(h, {one.gain.data(), size});
            out.norms.push_back(std::move(one));
        }
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
        // Tied ones may be stored under either name, or under both.
        const bool by_output =
            m_config.tied && !m_file.has("token_embd.weight") && m_file.has("output.weight");
        const Weights table =
            matrix(by_output ? "output.weight" : "token_embd.weight", v, m_config.width);
        in.clusters.push_back({0, table, {}});
        in.scale = m_config.embedding_scale;
        const bool tied = m_config.tied && !m_file.has("output.weight");
        out.sections.push_back({0, tied ? table : matrix("output.weight", v, m_config.width), {}});
        out.bias = m_file.optional_vector("output.bias", v);
        out.cap = m_config.logit_cap;
    }

    /// The numbers of a vector.
    [[nodiscard]] std::vector<float> numbers(const std::string& name, std::size_t size) const {
        const auto read = m_file.vector(name, size);
        return {read.begin(), read.end()};
    }

    /// A mixture of experts: in folders a tensor an expert, in GGUF all in one.
    [[nodiscard]] experts<Weights> read_experts(const std::string& prefix) const {
        const std::size_t width = m_config.width;
        const std::size_t own = m_config.expert_width;
        const auto part = [&](const char* name, std::size_t e, std::size_t rows,
                              std::size_t cols) -> linear<Weights> {
            if (in_folder()) { return dense(fmt::format("{}{}.{}", prefix, name, e), rows, cols); }
            const std::string tensor = fmt::format("{}{}.weight", prefix, name);
            const any_matrix all = m_file.stack(tensor, m_config.experts, rows, cols);
            return {weights_as<Weights>(all.slice_rows(e * rows, rows), m_file.name(), tensor), {}};
        };
        experts<Weights> out;
        out.router = dense(prefix + "ffn_gate_inp", m_config.experts, width);
        out.used = m_config.experts_used;
        out.renormalised = m_config.experts_renormalised;
        if (m_config.experts_biased) {
            read_biased_experts(prefix, out);
            return out;
        }
        for (std::size_t e = 0; e < m_config.experts; ++e) {
            out.all.push_back({part("ffn_gate_exps", e, own, width),
                               part("ffn_up_exps", e, own, width),
                               part("ffn_down_exps", e, width, own)});
        }
        if (const std::size_t shared = m_config.shared_width; shared != 0) {
            out.shared_gate = row(prefix + "ffn_gate_inp_shexp.weight");
            out.all.push_back({dense(prefix + "ffn_gate_shexp", shared, width),
                               dense(prefix + "ffn_up_shexp", shared, width),
                               dense(prefix + "ffn_down_shexp", width, shared)});
        }
        return out;
    }

    /// The gate and the up matrix of a gated layer, from two tensors or one.
    void read_gated(const std::string& prefix, linear<Weights>& gate, linear<Weights>& up) const {
        const std::size_t f = m_config.inner_width;
        if (!m_file.family().gate_in_up) {
            gate = dense(prefix + "ffn_gate", f, m_config.width);
            up = dense(prefix + "ffn_up", f, m_config.width);
            return;
        }
        const std::string name = prefix + "ffn_up.weight";
        const any_matrix both = m_file.matrix(name, 2 * f, m_config.width);
        gate.weight = weights_as<Weights>(both.slice_rows(0, f), m_file.name(), name);
        up.weight = weights_as<Weights>(both.slice_rows(f, f), m_file.name(), name);
        const auto bias = m_file.optional_vector(prefix + "ffn_up.bias", 2 * f);
        gate.bias = grouped(bias, {0, f, f, f});
        up.bias = grouped(bias, {f, f, f, f});
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
        if (m_config.second_base != 0.0F) {
            position.second =
                rope_table(m_config.rotary_size, m_config.second_base, m_config.second_scaling);
        }
        if (m_file.has("rope_freqs.weight")) {
            const auto divisors = m_file.vector("rope_freqs.weight", m_config.rotary_size / 2);
            scaling = rope_divisors{{divisors.begin(), divisors.end()}};
        }
        position.table = rope_table(m_config.rotary_size, m_config.rotary_base, scaling);
        position.style = m_config.rotary_style;
    }
    void read(learned_positions<Weights>& position) const {
        position.offset = m_config.position_offset;
        position.table =
            matrix("position_embd.weight", m_config.context + position.offset, m_config.width);
    }
    void read(sinusoidal_positions<Weights>& position) const {
        position.origin = m_config.position_origin;
    }

private:
    /// gpt-oss: all experts' matrices in one tensor each, with biases. In folders gate and up rows
    /// take turns in one.
    void read_biased_experts(const std::string& prefix, experts<Weights>& out) const {
        const std::size_t n = m_config.experts;
        const std::size_t width = m_config.width;
        const std::size_t own = m_config.expert_width;
        const auto part = [&](const char* name, std::size_t rows, std::size_t cols, std::size_t e,
                              row_groups take) -> linear<Weights> {
            const std::string tensor = prefix + name;
            const any_matrix all = m_file.stack(tensor + ".weight", n, rows, cols);
            linear<Weights> one;
            take.first += e * rows;
            one.weight =
                weights_as<Weights>(all.group_rows(take), m_file.name(), tensor + ".weight");
            std::vector<float> bias(rows);
            m_file.matrix(tensor + ".bias", n, rows).row(e, bias);
            one.bias = xt::empty<float>({take.count});
            take.first -= e * rows;
            for (std::size_t r = 0; r < take.count; ++r) { one.bias(r) = bias[take(r)]; }
            return one;
        };
        // The biases of the second matrices as columns (D, N), then the zeros of their keys.
        auto numbers = std::make_shared<std::vector<float>>((width + 1) * n + width);
        const row_groups whole{0, own, own, own};
        for (std::size_t e = 0; e < n; ++e) {
            const bool both = in_folder();
            const char* gate = both ? "ffn_gate_up_exps" : "ffn_gate_exps";
            const char* up = both ? "ffn_gate_up_exps" : "ffn_up_exps";
            const std::size_t rows = both ? 2 * own : own;
            linear<Weights> down = part("ffn_down_exps", width, own, e, {0, width, width, width});
            for (std::size_t d = 0; d < width; ++d) { (*numbers)[d * n + e] = down.bias(d); }
            down.bias = {};
            out.all.push_back({part(gate, rows, width, e, both ? row_groups{0, 1, 2, own} : whole),
                               part(up, rows, width, e, both ? row_groups{1, 1, 2, own} : whole),
                               std::move(down)});
        }
        const auto plain = [&](std::size_t first, std::size_t rows, std::size_t cols) {
            return any_matrix(format_id::f32,
                              reinterpret_cast<const std::byte*>(numbers->data() + first), rows,
                              cols);
        };
        const auto as = [&](const any_matrix& m) {
            return linear<Weights>{weights_as<Weights>(m, m_file.name(), prefix + "biases"), {}};
        };
        const auto no_keys = as(plain(width * n, 1, width).group_rows({0, 1, 0, n}));
        out.all.push_back({no_keys, no_keys, as(plain(0, width, n))});
        out.biased = true;
        out.owned = std::move(numbers);
    }
    /// Query, key and value rows in one matrix: one after the other, or key-value head by key-value
    /// head (folders of GPT-NeoX, BLOOM, Falcon). Either way three views of it.
    void read_fused(const std::string& prefix, const std::array<linear<Weights>*, 3>& parts) const {
        const std::size_t size = m_config.head_size;
        const std::size_t all = m_config.heads * size;
        const std::size_t kv = m_config.kv_heads * size;
        const any_matrix fused =
            m_file.matrix(prefix + "attn_qkv.weight", all + 2 * kv, m_config.width);
        const auto bias = m_file.optional_vector(prefix + "attn_qkv.bias", all + 2 * kv);
        const bool grouped_rows = m_file.family().qkv == qkv_rows::groups && in_folder();
        const std::size_t starts[] = {0, all, all + kv};
        const std::size_t queries = all / m_config.kv_heads;  // rows of a group, of (queries, k, v)
        const std::size_t places[] = {0, queries, queries + size};
        for (std::size_t p = 0; p < 3; ++p) {
            const std::size_t count = p == 0 ? all : kv;
            const row_groups rows = grouped_rows ? row_groups{places[p], p == 0 ? queries : size,
                                                              queries + 2 * size, count}
                                                 : row_groups{starts[p], count, count, count};
            parts[p]->weight = weights_as<Weights>(fused.group_rows(rows), m_file.name(),
                                                   prefix + "attn_qkv.weight");
            parts[p]->bias = grouped(bias, rows);
        }
    }
    /// A matrix of one row (D), which GGUF keeps as a vector.
    [[nodiscard]] linear<Weights> row(const std::string& name) const {
        return {weights_as<Weights>(m_file.row_matrix(name, m_config.width), m_file.name(), name),
                {}};
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
