// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/io/gguf.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

// What becomes of the keys of a GGUF file that begin with its architecture's name: applied (io/
// gguf_hyperparameters.hpp, gguf_layers.hpp, gguf_rope.hpp), harmless, or refused. A key of none of
// these lists is refused by name: nobody could say what it changes. llama.cpp reads some keys for
// some architectures alone, and passes over them in others; so does xlens.

namespace xlens::detail {

/// Without the architecture's name.
inline constexpr auto applied_gguf_keys = std::to_array<std::string_view>({
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "attention.sliding_window",
    "attention.sliding_window_pattern",
    "attention.clamp_kqv",
    "attention.max_alibi_bias",
    "attention.scale",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "logit_scale",
    "residual_scale",
    "embedding_scale",
    "expert_count",
    "expert_used_count",
    "expert_feed_forward_length",
    "expert_shared_feed_forward_length",
    "use_parallel_residual",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.freq_base_swa",
    "rope.scale_linear",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.attn_factor",
    "rope.scaling.original_context_length",
    "rope.scaling.finetuned",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "adaptive_cutoffs",  // wikilm's
    "final_norm",
});

/// What llama.cpp keeps for its own books, or reads for other architectures than ours.
inline constexpr auto harmless_gguf_keys = std::to_array<std::string_view>({
    "vocab_size",                        // the embedding's rows say it
    "tensor_data_layout",                // Falcon's converter: "jploski"
    "pooling_type",                      // of embeddings of texts, not of logits
    "rope.scaling.yarn_log_multiplier",  // DeepSeek's
    "rope.scaling.yarn_ext_factor",      // Grok's
    "rope.scaling.yarn_attn_factor",
});

/// A key with the only value that is read; `like`: it must have that key's value.
struct gguf_refusal {
    std::string_view key;
    double only = 0.0;
    std::string_view like;
    std::string_view what;  ///< it is, for the message
};

inline constexpr auto gguf_refusals = std::to_array<gguf_refusal>({
    {"attention.causal", 1, {}, "attention to later positions"},
    {"expert_group_count", 0, {}, "groups of experts"},
    {"expert_group_used_count", 0, {}, "groups of experts"},
    {"expert_weights_scale", 1, {}, "a scale of experts"},
    {"expert_gating_func", 1, {}, "a choice of experts by other than softmax"},
    {"leading_dense_block_count", 0, {}, "layers with and without experts"},
    {"interleave_moe_layer_step", 1, {}, "layers with and without experts"},
    {"nextn_predict_layers", 0, {}, "layers that predict later tokens"},
    {"rope.scaling.alpha", 0, {}, "another scaling of rotations"},
    {"attention.temperature_scale", 0, {}, "queries that grow with their position"},
    {"attention.output_scale", 0, {}, "a scale of what attention writes"},
    {"attention.value_scale", 0, {}, "a scale of values"},
    {"attention.shared_kv_layers", 0, {}, "layers that share keys and values"},
    {"embedding_length_out", 0, "embedding_length", "a projection behind the model"},
    {"attention.value_length", 0, "attention.key_length", "values of another size than keys"},
    {"attention.key_length_swa", 0, "attention.key_length", "heads of two sizes"},
    {"attention.value_length_swa", 0, "attention.key_length", "heads of two sizes"},
    {"rope.dimension_count_swa", 0, "rope.dimension_count", "rotations of two sizes"},
});

/// Refused whatever they say.
inline constexpr auto gguf_strangers =
    std::to_array<std::pair<std::string_view, std::string_view>>({
        {"rope.dimension_sections", "rotations of several axes"},
        {"deepstack_mapping", "images"},
        {"classifier.output_labels", "a classifier"},
        {"hidden_activation", "an activation of another name"},
    });

inline double gguf_number(const gguf_file& file, const std::string& key) {
    return file.is_boolean(key) ? (file.boolean(key) ? 1.0 : 0.0) : file.number(key);
}

inline void refuse_gguf_value(const gguf_file& file, const std::string& prefix,
                              const gguf_refusal& r) {
    const std::string key = prefix + std::string(r.key);
    if (!file.has(key)) { return; }
    const double got = gguf_number(file, key);
    if (r.like.empty()) {
        if (got != r.only) {
            fail("{}: {}: {}, which xlens does not compute", file.name(), key, r.what);
        }
        return;
    }
    const std::string like = prefix + std::string(r.like);
    const std::string heads = prefix + "attention.head_count";
    double expected = got;
    if (file.has(like)) {
        expected = gguf_number(file, like);
    } else if (file.has(heads) &&
               !file.is_array(heads)) {  // the size of a head, all of which turns
        expected = std::floor(file.number(prefix + "embedding_length") / file.number(heads));
    }
    if (expected != got) {
        fail("{}: {}: expected {} as for {}, got {}: {}, which xlens does not compute", file.name(),
             key, expected, r.like, got, r.what);
    }
}

/// Throws xlens::error for a key that changes the computation and is not applied, and for one that
/// is not known. `prefix`: the architecture's name and a dot.
inline void refuse_gguf_keys(const gguf_file& file, const std::string& prefix) {
    for (const gguf_refusal& r : gguf_refusals) { refuse_gguf_value(file, prefix, r); }
    const auto in = [](const auto& list, std::string_view key) {
        return std::ranges::find(list, key) != list.end();
    };
    for (const std::string& name : file.keys()) {
        if (!name.starts_with(prefix)) { continue; }
        const std::string_view key = std::string_view(name).substr(prefix.size());
        for (const auto& [stranger, what] : gguf_strangers) {
            if (key == stranger) {
                fail("{}: {}: {}, which xlens does not compute", file.name(), name, what);
            }
        }
        const bool refusal =
            std::ranges::any_of(gguf_refusals, [&](const gguf_refusal& r) { return r.key == key; });
        if (!refusal && !in(applied_gguf_keys, key) && !in(harmless_gguf_keys, key)) {
            fail("{}: {}: unknown key, which may change what is computed", file.name(),
                 printable(name));
        }
    }
}

}  // namespace xlens::detail
