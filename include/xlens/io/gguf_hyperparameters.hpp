// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/model/hyperparameters.hpp>

#if XLENS_DEFINES(io)
#include <xlens/core/error.hpp>
#include <xlens/io/families.hpp>
#include <xlens/io/gguf_keys.hpp>
#include <xlens/io/gguf_layers.hpp>
#include <xlens/io/gguf_rope.hpp>
#include <xlens/io/hyperparameter_checks.hpp>
#include <xlens/model/architecture.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>
#endif

namespace xlens {

/// The hyperparameters of a GGUF file. `vocabulary` is left to the embedding's rows, except
/// wikilm's, whose embedding is in clusters.
/// Throws xlens::error naming the file, the key and both values.
XLENS_API hyperparameters read_hyperparameters(const gguf_file& file);

#if XLENS_DEFINES(io)
namespace detail {

inline const family& family_of_gguf(const gguf_file& file) {
    const std::string name = file.string("general.architecture");
    // Mixtral's files are llama's with experts.
    const bool experts = file.unsigned_integer(name + ".expert_count", 0) != 0;
    if (name == "llama" && experts) { return *find_family("mixtral"); }
    std::vector<std::string_view> known;
    for (const family& f : families()) {
        if (f.gguf.empty()) { continue; }
        if (f.gguf == name && f.experts.count.empty() == !experts) { return f; }
        if (f.gguf == name) {
            fail("{}: {}.expert_count: expected {}, got {}", file.name(), name,
                 experts ? "none" : "a number of experts",
                 file.unsigned_integer(name + ".expert_count", 0));
        }
        known.push_back(f.gguf);
    }
    fail("{}: general.architecture: expected one of {}, got '{}'", file.name(), joined(known, ", "),
         printable(name));
}

/// A mixture of experts is one layer of all their neurons.
inline void read_gguf_experts(const gguf_file& file, const std::string& prefix, const family& f,
                              hyperparameters& p) {
    if (f.experts.count.empty()) { return; }
    p.experts = count(file, prefix + "expert_count", max_experts);
    p.experts_used = count(file, prefix + "expert_used_count", p.experts);
    p.expert_width =
        count_of_layers(file, prefix + "expert_feed_forward_length", p.layers, p.inner_width);
    // llama.cpp divides by the sum in all but Qwen 2.
    p.experts_renormalised = f.name != "qwen2_moe";
    if (!f.experts.shared_width.empty()) {
        p.shared_width =
            count_of_layers(file, prefix + "expert_shared_feed_forward_length", p.layers, 0);
    }
    p.experts_biased = f.experts.biased;
    p.inner_width =
        p.experts * p.expert_width + p.shared_width + (p.experts_biased ? p.experts : 0);
}

/// wikilm is no architecture of llama.cpp: its keys are our own, in llama.cpp's style. The cutoffs
/// cannot be had from the tensors, which they describe.
inline void read_gguf_wikilm(const gguf_file& file, const std::string& prefix, hyperparameters& p) {
    p.vocabulary = count(file, prefix + "vocab_size", max_vocabulary);
    const std::string cutoffs = prefix + "adaptive_cutoffs";
    read_cutoffs(file.name(), cutoffs, file.integers(cutoffs), p);
    p.final_norm = file.boolean(prefix + "final_norm", true);
    read_sinusoidal(file, "tokenizer.ggml.padding_token_id", p);
    const std::string scale = prefix + "embedding_scale";
    const double usual = std::sqrt(static_cast<float>(p.width));
    p.embedding_scale = positive(file, scale, file.number(scale, usual));
}

/// Multipliers and caps, which llama.cpp reads of all architectures alike or sets itself.
inline void read_gguf_scales(const gguf_file& file, const std::string& prefix, const family& f,
                             hyperparameters& p) {
    const auto number = [&](const char* key, double otherwise) {
        const std::string name = prefix + key;
        const double value = file.number(name, otherwise);
        return value == 0.0 ? 0.0F : positive(file, name, value);
    };
    const auto or_one = [](float x) { return x == 0.0F ? 1.0F : x; };
    if (f.gain_plus_one) { p.embedding_scale = std::sqrt(static_cast<float>(p.width)); }
    if (f.name == "gemma2" || f.name == "gemma3_text") {
        // The models of 27 thousand million parameters, which files know by their layers alone.
        if (p.layers == (f.name == "gemma2" ? 46U : 62U)) {
            const std::size_t share = p.width / p.heads;
            p.attention_scale = 1.0F / std::sqrt(static_cast<float>(share));
        }
        const bool second = f.name == "gemma2";
        p.attention_cap = second ? number("attn_logit_softcapping", 50.0) : 0.0F;
        p.logit_cap = number("final_logit_softcapping", second ? 30.0 : 0.0);
    }
    if (f.name == "granite") {
        p.embedding_scale = or_one(number("embedding_scale", 1.0));
        p.residual_scale = or_one(number("residual_scale", 1.0));
        p.attention_scale = number("attention.scale", 0.0);
        p.logit_scale = 1.0F / or_one(number("logit_scale", 1.0));
    }
    if (f.name == "cohere" || f.name == "cohere2") {
        p.logit_scale = or_one(number("logit_scale", 0.0625));
    }
    if (f.name == "olmo" || f.name == "mpt") { p.clip = number("attention.clamp_kqv", 0.0); }
    if (f.name == "bloom") { p.alibi_bias = 8.0F; }
    if (f.name == "mpt") { p.alibi_bias = number("attention.max_alibi_bias", 8.0); }
}

/// Which parts of a layer there are: what llama.cpp sees by the tensors of layer 0.
inline void read_gguf_layout(const gguf_file& file, const std::string& prefix, const family& f,
                             hyperparameters& p) {
    const auto has = [&](const char* name) { return file.find(name) != nullptr; };
    if (f.name == "gpt_neox") {
        p.parallel_residual = file.boolean(prefix + "use_parallel_residual", true);
    }
    if (f.name == "stablelm") {
        p.parallel_residual = p.shared_norm = !has("blk.0.ffn_norm.weight");
    }
    if (f.name == "falcon") {
        p.parallel_residual = true;
        p.shared_norm = !has("blk.0.attn_norm_2.weight");
    }
    if (architecture_named(p.architecture).head_norm == head_norm_kind::own) {
        p.head_norms = has("blk.0.attn_q_norm.weight");
    }
}

}  // namespace detail

XLENS_API hyperparameters read_hyperparameters(const gguf_file& file) {
    using detail::count;
    const family& f = detail::family_of_gguf(file);
    hyperparameters p;
    p.family = f.name;
    p.architecture = f.architecture;
    const std::string prefix = file.string("general.architecture") + ".";
    detail::refuse_gguf_keys(file, prefix);
    p.layers = count(file, prefix + "block_count", max_layers);
    p.width = count(file, prefix + "embedding_length", max_width);
    const auto of_layers = [&](const char* key, std::size_t otherwise) {
        return detail::count_of_layers(file, prefix + key, p.layers, otherwise);
    };
    p.inner_width = of_layers("feed_forward_length", 0);
    detail::read_gguf_experts(file, prefix, f, p);
    p.heads = of_layers("attention.head_count", 0);
    p.kv_heads = of_layers("attention.head_count_kv", p.heads);
    p.context = count(file, prefix + "context_length", max_context);
    const bool rms = file.has(prefix + "attention.layer_norm_rms_epsilon");
    p.norm_epsilon = detail::epsilon(
        file, prefix + (rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon"));
    const std::string size_key = prefix + "attention.key_length";
    p.head_size = count(file, size_key, max_width, std::max<std::size_t>(p.width / p.heads, 1));
    detail::read_gguf_scales(file, prefix, f, p);
    detail::read_gguf_layout(file, prefix, f, p);
    detail::read_gguf_layers(file, prefix, f, p);
    if (p.family == "wikilm") { detail::read_gguf_wikilm(file, prefix, p); }
    if (architecture_named(p.architecture).position == position_kind::rotary) {
        detail::read_gguf_rope(file, prefix, f, p);
    }
    detail::check_heads(file.name(), p, file.has(size_key));
    return p;
}
#endif

}  // namespace xlens
