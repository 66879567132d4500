// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/model/transformer.hpp>

#if XLENS_DEFINES(model)
#include <xlens/core/error.hpp>
#include <xlens/nn/experts.hpp>
#include <xlens/nn/linear.hpp>
#include <xlens/storage/any_matrix.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#endif

// A transformer that a program puts together has no file whose reader compares its parts.

namespace xlens {

/// Throws xlens::error naming the part and its layer, what `config` makes of it and what it is,
/// unless all parts have the shapes that the numbers of `config` ask for. O(parts), reads no
/// weight.
XLENS_API void check_parts(const transformer<>& model);

#if XLENS_DEFINES(model)
namespace detail {

/// Compares the parts of a layer, or those outside layers, with what they have to be.
class part_check {
public:
    explicit part_check(const hyperparameters& config,
                        std::optional<std::size_t> layer = std::nullopt)
        : m_config(config),
          m_where(layer ? " of layer " + std::to_string(*layer) : std::string()) {}

    void count(std::string_view part, std::size_t found, std::size_t expected) const {
        if (found != expected) { refuse(part, std::to_string(expected), std::to_string(found)); }
    }
    /// As many numbers, or none where the architecture has no such part.
    void numbers(std::string_view part, std::size_t found, std::size_t expected) const {
        if (found != 0 && found != expected) {
            refuse(part, std::to_string(expected) + " numbers or none",
                   std::to_string(found) + " numbers");
        }
    }
    void matrix(std::string_view part, const any_matrix& w, std::size_t rows,
                std::size_t cols) const {
        if (w.rows() != rows || w.cols() != cols) {
            refuse(part, shape(rows, cols), shape(w.rows(), w.cols()));
        }
    }
    void layer(std::string_view part, const linear<any_matrix>& l, std::size_t outputs,
               std::size_t inputs) const {
        matrix(std::string(part) + ".weight", l.weight, outputs, inputs);
        numbers(std::string(part) + ".bias", l.bias.size(), outputs);
    }
    template <class Norm>
    void norm(std::string_view part, const std::optional<Norm>& n) const {
        if (!n) { return; }
        count(std::string(part) + ".gain: numbers", n->gain.size(), m_config.width);
        if constexpr (requires { n->bias; }) {
            numbers(std::string(part) + ".bias", n->bias.size(), m_config.width);
        }
    }
    /// One norm for each head or for all as one vector; or one a head.
    void head_norm(std::string_view part, const any_head_norm& n, std::size_t heads) const {
        if (n.norms.empty()) { return; }
        const std::size_t size = m_config.head_size;
        const std::size_t gain = n.norms.front().gain.size();
        if (n.norms.size() == 1 && gain == heads * size) { return; }
        if (n.norms.size() != 1) { count(std::string(part) + ": norms", n.norms.size(), heads); }
        for (const any_norm& one : n.norms) {
            count(std::string(part) + ".gain: numbers", one.gain.size(), size);
            numbers(std::string(part) + ".bias", one.bias.size(), size);
        }
    }
    [[noreturn]] void refuse(std::string_view part, const std::string& expected,
                             const std::string& found) const {
        fail("model in memory: {}{}: expected {}, got {}", part, m_where, expected, found);
    }

private:
    static std::string shape(std::size_t rows, std::size_t cols) {
        return "(" + std::to_string(rows) + ", " + std::to_string(cols) + ")";
    }

    const hyperparameters& m_config;
    std::string m_where;
};

inline void check_numbers(const transformer<>& m, const part_check& check) {
    const hyperparameters& p = m.config;
    for (const auto& [name, value] : {std::pair{"config.layers", p.layers},
                                      {"config.width", p.width},
                                      {"config.inner_width", p.inner_width},
                                      {"config.heads", p.heads},
                                      {"config.kv_heads", p.kv_heads},
                                      {"config.head_size", p.head_size},
                                      {"config.vocabulary", p.vocabulary},
                                      {"config.context", p.context}}) {
        if (value == 0) { check.refuse(name, "a positive number", "0"); }
    }
    if (p.heads % p.kv_heads != 0) {
        check.refuse("config.kv_heads", "a divisor of " + std::to_string(p.heads) + " heads",
                     std::to_string(p.kv_heads));
    }
    check.count("blocks", m.blocks.size(), p.layers);
    if (!p.per_layer.empty()) { check.count("config.per_layer", p.per_layer.size(), p.layers); }
}

/// Clusters of an embedding, sections of an unembedding: tokens one after the other, all of them.
template <class Parts, class Matrix>
void check_tokens(const part_check& check, const std::string& name, const Parts& parts,
                  std::size_t vocabulary, std::size_t width, Matrix matrix_of) {
    std::size_t end = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const std::string one = name + "[" + std::to_string(i) + "]";
        const auto& [member, w] = matrix_of(parts[i]);
        check.count(one + ".first", parts[i].first, end);
        const bool narrow = parts[i].projection.has_value();
        check.matrix(one + "." + member, *w, w->rows(), narrow ? w->cols() : width);
        end += w->rows();
    }
    check.count(name + ": rows of all", end, vocabulary);
}

inline void check_positions(const transformer<>& m, const part_check& check) {
    const hyperparameters& p = m.config;
    const any_positions<any_matrix>& position = m.position;
    if (position.kind == position_kind::learned) {
        const learned_positions<any_matrix>& learned = position.learned;
        check.matrix("position.table", learned.table, learned.table.rows(), p.width);
        if (learned.table.rows() < p.context + learned.offset) {
            check.refuse("position.table",
                         "at least " + std::to_string(p.context + learned.offset) +
                             " rows for config.context",
                         std::to_string(learned.table.rows()));
        }
    }
    if (position.kind != position_kind::rotary) { return; }
    for (std::size_t l = 0; l < m.blocks.size(); ++l) {
        const layer_rope rope = m.blocks[l].attention.rope;
        if (rope == layer_rope::none) { continue; }
        const bool first = rope == layer_rope::first;
        const rope_table& table = first ? position.rotary.table : position.rotary.second;
        const std::size_t rotated = 2 * table.frequencies().size();
        if (rotated == 0 || rotated > p.head_size) {
            part_check(p, l).refuse(
                first ? "position.table, the rotation" : "position.second, the rotation",
                "2 to " + std::to_string(p.head_size) + " dimensions a head",
                std::to_string(rotated));
        }
    }
}

inline void check_attention(const block<presets::any, any_matrix>& b, const hyperparameters& p,
                            const part_check& check) {
    const auto& a = b.attention;
    check.count("attention.shape.heads", a.shape.heads, p.heads);
    check.count("attention.shape.kv_heads", a.shape.kv_heads, p.kv_heads);
    check.count("attention.shape.head_size", a.shape.head_size, p.head_size);
    check.numbers("attention.shape.slopes", a.shape.slopes.size(), p.heads);
    check.numbers("attention.shape.sinks", a.shape.sinks.size(), p.heads);
    check.layer("attention.query", a.query, p.heads * p.head_size, p.width);
    check.layer("attention.key", a.key, p.kv_heads * p.head_size, p.width);
    check.layer("attention.value", a.value, p.kv_heads * p.head_size, p.width);
    check.layer("attention.output", a.output, p.width, p.heads * p.head_size);
    check.head_norm("attention.query_norm", a.query_norm, p.heads);
    check.head_norm("attention.key_norm", a.key_norm, p.kv_heads);
}

inline void check_experts(const experts<any_matrix>& mixture, const hyperparameters& p,
                          const part_check& check) {
    const std::size_t count = mixture.router.weight.rows();  // N
    const bool shared = mixture.shared_gate.has_value();
    check.layer("ffn: router", mixture.router, count, p.width);
    check.count("ffn: experts", mixture.all.size(),
                count + (shared ? 1 : 0) + (mixture.biased ? 1 : 0));
    if (shared) { check.layer("ffn: shared_gate", *mixture.shared_gate, 1, p.width); }
    if (mixture.used == 0 || mixture.used > count) {
        check.refuse("ffn: experts used", "1 to " + std::to_string(count),
                     std::to_string(mixture.used));
    }
    for (std::size_t e = 0; e < mixture.all.size(); ++e) {
        const auto& one = mixture.all[e];
        const std::string name = "ffn: expert " + std::to_string(e) + ": ";
        const bool biases = mixture.biased && e + 1 == mixture.all.size();
        const std::size_t inner = biases ? count : one.width();
        check.layer(name + "values", one.values, p.width, inner);
        if (biases) { continue; }
        check.layer(name + "gate", one.gate, inner, p.width);
        check.layer(name + "up", one.up, inner, p.width);
    }
    check.count("ffn: neurons of all experts", mixture.inner_width(), p.inner_width);
}

inline void check_ffn(const block<presets::any, any_matrix>& b, const hyperparameters& p,
                      const part_check& check) {
    if (const auto* mixture = b.ffn.mixture()) {
        check_experts(*mixture, p, check);
    } else {
        if (b.ffn.is_gated()) {
            check.layer("ffn: gate", b.ffn.gate_layer(), p.inner_width, p.width);
        }
        check.layer("ffn: up", b.ffn.up_layer(), p.inner_width, p.width);
        check.layer("ffn: values", b.ffn.value_layer(), p.width, p.inner_width);
    }
    if (b.ffn.activation().apply == nullptr) {
        check.refuse("ffn: activation", "one of kernels/activation.hpp", "none");
    }
    check.norm("ffn: post_norm", b.ffn.post_norm());
}

inline void check_unembedding(const transformer<>& m, const part_check& check) {
    const auto& out = m.unembedding;
    using section = unembedding<any_matrix>::section;
    check_tokens(check, "unembedding.sections", out.sections, m.config.vocabulary, m.config.width,
                 [](const section& s) { return std::pair("out", &s.out); });
    for (std::size_t i = 0; i < out.sections.size(); ++i) {
        const section& s = out.sections[i];
        if (s.projection) {
            check.matrix("unembedding.sections[" + std::to_string(i) + "].projection",
                         *s.projection, s.out.cols(), m.config.width);
        }
    }
    if (out.classes) {
        check.matrix("unembedding.classes", *out.classes, out.sections.size() - 1, m.config.width);
    }
    check.numbers("unembedding.bias", out.bias.size(), m.config.vocabulary);
}

inline void check_embedding(const transformer<>& m, const part_check& check) {
    using cluster = embedding<any_matrix>::cluster;
    check_tokens(check, "embedding.clusters", m.embedding.clusters, m.config.vocabulary,
                 m.config.width, [](const cluster& c) { return std::pair("table", &c.table); });
    for (std::size_t i = 0; i < m.embedding.clusters.size(); ++i) {
        const cluster& c = m.embedding.clusters[i];
        if (c.projection) {
            check.matrix("embedding.clusters[" + std::to_string(i) + "].projection", *c.projection,
                         m.config.width, c.table.cols());
        }
    }
    check.norm("embedding_norm", m.embedding_norm);
}

}  // namespace detail

XLENS_API void check_parts(const transformer<>& model) {
    const hyperparameters& p = model.config;
    const detail::part_check check(p);
    detail::check_numbers(model, check);
    detail::check_embedding(model, check);
    detail::check_positions(model, check);
    for (std::size_t l = 0; l < model.blocks.size(); ++l) {
        const auto& b = model.blocks[l];
        const detail::part_check of_layer(p, l);
        of_layer.norm("attention_norm", b.attention_norm);
        detail::check_attention(b, p, of_layer);
        of_layer.norm("attention_post_norm", b.attention_post_norm);
        of_layer.norm("ffn_norm", b.ffn_norm);
        detail::check_ffn(b, p, of_layer);
    }
    check.norm("final_norm", model.final_norm);
    detail::check_unembedding(model, check);
}
#endif

}  // namespace xlens
