// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/io/hugging_face.hpp>
#include <xlens/model/hyperparameters.hpp>

#if XLENS_DEFINES(io)
#include <xlens/core/error.hpp>
#include <xlens/io/config_biases.hpp>
#include <xlens/io/config_layers.hpp>
#include <xlens/io/config_refusals.hpp>
#include <xlens/io/config_rope.hpp>
#include <xlens/io/families.hpp>
#include <xlens/io/hyperparameter_checks.hpp>
#include <xlens/model/architecture.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#endif

namespace xlens {

/// The hyperparameters of a Hugging Face folder's config.json.
/// Throws xlens::error naming the file, the key and both values; also for a key that changes what
/// transformers would compute and that xlens does not apply (io/config_refusals.hpp).
XLENS_API hyperparameters read_hyperparameters(const hugging_face_folder& folder);

#if XLENS_DEFINES(io)
namespace detail {

inline const family& family_of_config(const json_object& config) {
    const std::string name = config.string("model_type");
    if (const family* found = find_family(name)) { return *found; }
    std::vector<std::string_view> known;
    for (const family& f : families()) { known.push_back(f.name); }
    fail("{}: model_type: expected one of {}, got '{}'", config.file(), joined(known, ", "),
         printable(name));
}

/// Counts, all checked.
inline void read_sizes(const json_object& config, const family& f, hyperparameters& p) {
    const auto size = [&](std::string_view key, std::uint64_t most) {
        return count(config, std::string(key), most);
    };
    p.layers = size(f.keys.layers, max_layers);
    p.width =
        size(config.has(f.keys.width) || f.name != "bloom" ? f.keys.width : "n_embed", max_width);
    p.heads = size(f.keys.heads, max_width);
    const std::string inner(f.keys.inner_width);
    if (f.inner_factor == 0 || (!inner.empty() && config.has(inner))) {
        p.inner_width = size(inner, max_width);
    } else {
        p.inner_width = f.inner_factor * p.width;
    }
    const std::string kv(f.keys.kv_heads);
    p.kv_heads = kv.empty() ? p.heads : count(config, kv, max_width, p.heads);
    p.vocabulary = size("vocab_size", max_vocabulary);
    p.context = f.context == 0 ? size(f.keys.context, max_context)
                               : count(config, std::string(f.keys.context), max_context, f.context);
    p.head_size = count(config, "head_dim", max_width, std::max<std::size_t>(p.width / p.heads, 1));
    p.norm_epsilon = f.keys.epsilon.empty() || (f.epsilon > 0.0 && !config.has(f.keys.epsilon))
                         ? static_cast<float>(f.epsilon)
                         : epsilon(config, f.keys.epsilon);
}

/// A mixture of experts is one layer of all their neurons.
inline void read_experts(const json_object& config, const family& f, hyperparameters& p) {
    const expert_keys& keys = f.experts;
    if (keys.count.empty()) { return; }
    // transformers 5 writes num_local_experts where 4 wrote num_experts.
    const bool newer = !config.has(keys.count) && config.has("num_local_experts");
    p.experts = count(config, std::string(newer ? "num_local_experts" : keys.count), max_experts);
    p.experts_used = count(config, "num_experts_per_tok", p.experts);
    p.expert_width = count(config, std::string(keys.width), max_width);
    p.experts_renormalised = keys.always_renormalised || config.boolean("norm_topk_prob", false);
    if (!keys.shared_width.empty()) {
        p.shared_width = count(config, std::string(keys.shared_width), max_width);
    }
    if (config.unsigned_integer("decoder_sparse_step", 1) != 1 ||
        (config.has("mlp_only_layers") && !config.at("mlp_only_layers").items().empty())) {
        fail(
            "{}: decoder_sparse_step, mlp_only_layers: layers with and without experts, which "
            "xlens does not compute",
            config.file());
    }
    p.experts_biased = keys.biased;
    p.inner_width =
        p.experts * p.expert_width + p.shared_width + (p.experts_biased ? p.experts : 0);
}

inline void read_activation(const json_object& config, const family& f, hyperparameters& p) {
    if (f.keys.activation.empty()) { return; }
    std::string_view key = f.keys.activation;
    if (!config.has(key)) { return; }  // the architecture's own
    p.activation = config.string(key);
    if (f.name == "gemma" && p.activation == "gelu") {  // so the first files call it
        p.activation = "gelu_pytorch_tanh";
    }
    if (f.name == "gpt_oss") {  // whose gate is its own, and written as a silu's
        if (p.activation != "silu") {
            fail("{}: {}: expected silu, got '{}'", config.file(), key, printable(p.activation));
        }
        return p.activation.clear();
    }
    if (!activation_named(p.activation)) {
        fail("{}: {}: expected silu, gelu, gelu_new, gelu_pytorch_tanh or relu, got '{}'",
             config.file(), key, printable(p.activation));
    }
}

inline float positive_or(const json_object& config, std::string_view key, double otherwise) {
    return positive(config, key, config.number(key, otherwise));
}

/// Multipliers, caps and what else is a number of one family.
inline void read_scales(const json_object& config, const family& f, hyperparameters& p) {
    const std::string_view name = f.name;
    if (f.gain_plus_one) { p.embedding_scale = std::sqrt(static_cast<float>(p.width)); }
    if (name == "gemma2" || name == "gemma3_text") {
        const float scalar = positive_or(config, "query_pre_attn_scalar", 256.0);
        p.attention_scale = 1.0F / std::sqrt(scalar);
        const bool usual = name == "gemma2";
        const auto cap = [&](std::string_view key, double otherwise) {
            return config.has(key) || (usual && config.value().find(key) == nullptr)
                       ? positive_or(config, key, otherwise)
                       : 0.0F;
        };
        p.attention_cap = usual ? cap("attn_logit_softcapping", 50.0) : 0.0F;
        p.logit_cap = cap("final_logit_softcapping", 30.0);
    }
    if (name == "granite") {
        p.embedding_scale = positive_or(config, "embedding_multiplier", 1.0);
        p.residual_scale = positive_or(config, "residual_multiplier", 1.0);
        p.attention_scale = positive_or(config, "attention_multiplier", 1.0);
        p.logit_scale = 1.0F / positive_or(config, "logits_scaling", 1.0);
    }
    if (name == "cohere" || name == "cohere2") {
        p.logit_scale = positive_or(config, "logit_scale", 0.0625);
    }
    if (name == "gpt_neo") { p.attention_scale = 1.0F; }
    if (name == "gpt2" && !config.boolean("scale_attn_weights", true)) { p.attention_scale = 1.0F; }
    if (name == "olmo" && config.has("clip_qkv")) { p.clip = positive_or(config, "clip_qkv", 0.0); }
    if (name == "bloom") { p.alibi_bias = 8.0F; }
    if (name == "mpt") {
        p.alibi_bias = 8.0F;
        if (!config.has("attn_config")) { return; }
        const json_object attention = config.object("attn_config");
        if (attention.has("clip_qkv")) { p.clip = positive_or(attention, "clip_qkv", 0.0); }
        if (attention.has("softmax_scale")) {
            p.attention_scale = positive_or(attention, "softmax_scale", 1.0);
        }
    }
}

/// Which parts of a layer stand side by side, and which norms there are.
inline void read_layout(const json_object& config, const family& f, hyperparameters& p) {
    const std::string_view name = f.name;
    if (name == "gpt_neox") { p.parallel_residual = config.boolean("use_parallel_residual", true); }
    if (name == "stablelm") {
        p.parallel_residual = p.shared_norm = config.boolean("use_parallel_residual", false);
        p.head_norms = config.boolean("qk_layernorm", false);
    }
    if (name == "cohere") { p.head_norms = config.boolean("use_qk_norm", false); }
    if (name == "opt") { p.position_offset = 2; }
    if (name == "falcon") {
        const bool newer = config.boolean("new_decoder_architecture", false);
        p.parallel_residual = newer || config.boolean("parallel_attn", true);
        const std::uint64_t norms =
            config.unsigned_integer("num_ln_in_parallel_attn", newer ? 2 : 1);
        p.shared_norm = p.parallel_residual && norms == 1;
        if (!newer && config.boolean("multi_query", true)) { p.kv_heads = 1; }
    }
}

inline void read_wikilm(const json_object& config, hyperparameters& p) {
    const auto cutoffs = config.unsigned_integers("adaptive_cutoffs");
    read_cutoffs(config.file(), "adaptive_cutoffs", cutoffs, p);
    p.final_norm = config.boolean("final_norm", true);
    read_sinusoidal(config, "pad_token_id", p);
    const bool scaled = config.boolean("scale_embedding", true);
    p.embedding_scale = scaled ? std::sqrt(static_cast<float>(p.width)) : 1.0F;
}

inline hyperparameters read_config(const json_object& config, const std::string& folder) {
    const family& f = family_of_config(config);
    hyperparameters p;
    p.family = f.name;
    p.architecture = f.architecture;
    refuse_keys(config, f.name);
    read_sizes(config, f, p);
    read_experts(config, f, p);
    read_activation(config, f, p);
    read_scales(config, f, p);
    read_layout(config, f, p);
    p.tied = config.boolean("tie_word_embeddings", f.tied);
    if (f.name == "wikilm") { read_wikilm(config, p); }
    read_config_layers(config, f, p);
    if (architecture_named(p.architecture).position == position_kind::rotary) {
        read_config_rope(config, f, p);
    }
    check_heads(folder, p, config.has("head_dim"));
    return p;
}

}  // namespace detail

XLENS_API hyperparameters read_hyperparameters(const hugging_face_folder& folder) {
    const json_object config = folder.fields();
    hyperparameters p = detail::read_config(config, folder.name());
    detail::check_biases(config, *find_family(p.family), folder.tensors());
    return p;
}
#endif

}  // namespace xlens
