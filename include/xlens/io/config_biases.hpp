// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/io/families.hpp>
#include <xlens/json/field.hpp>
#include <xlens/storage/stored_tensor.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

// Biases are read where a file has them. Whether it may is the configuration's to say: transformers
// passes over a bias that its class does not have, and takes zeros for one that is missing.

namespace xlens::detail {

/// Which tensors have a bias in a Hugging Face folder of that family.
struct bias_rule {
    std::string_view family;
    std::string_view key;    ///< of config.json; empty: always `usual`
    bool usual;              ///< where the file does not say
    std::string_view stems;  ///< GGUF names, apart by spaces
};

inline constexpr std::string_view attention_stems = "attn_q attn_k attn_v attn_output";
inline constexpr std::string_view qkv_stems = "attn_q attn_k attn_v";
inline constexpr std::string_view ffn_stems = "ffn_gate ffn_up ffn_down";
inline constexpr std::string_view all_stems =
    "attn_qkv attn_q attn_k attn_v attn_output ffn_gate ffn_up ffn_down";
inline constexpr std::string_view ungated_stems =
    "attn_q attn_k attn_v attn_output ffn_up ffn_down";
inline constexpr std::string_view norm_stems = "attn_norm ffn_norm output_norm";

inline constexpr auto bias_rules = std::to_array<bias_rule>({
    {"gpt2", "", true, all_stems},
    {"llama", "attention_bias", false, attention_stems},
    {"llama", "mlp_bias", false, ffn_stems},
    {"mistral", "", false, all_stems},
    {"qwen2", "", true, qkv_stems},
    {"qwen2", "", false, "attn_output ffn_gate ffn_up ffn_down"},
    {"qwen3", "attention_bias", false, attention_stems},
    {"qwen3", "", false, ffn_stems},
    {"gpt_neox", "attention_bias", true, "attn_qkv attn_output"},
    {"gpt_neox", "", true, "ffn_up ffn_down"},
    {"gpt_neo", "", false, qkv_stems},
    {"gpt_neo", "", true, "attn_output ffn_up ffn_down"},
    {"gptj", "", false, attention_stems},
    {"gptj", "", true, "ffn_up ffn_down output"},
    {"opt", "enable_bias", true, all_stems},
    {"bloom", "", true, all_stems},
    {"mpt", "", false, all_stems},
    {"mpt", "", false, norm_stems},
    {"falcon", "bias", false, all_stems},
    {"phi", "", true, ungated_stems},
    {"phi", "", true, "output"},
    {"phi3", "", false, all_stems},
    {"stablelm", "use_qkv_bias", false, qkv_stems},
    {"stablelm", "", false, "attn_output ffn_gate ffn_up ffn_down"},
    {"starcoder2", "use_bias", true, ungated_stems},
    {"gemma", "attention_bias", false, attention_stems},
    {"gemma", "", false, ffn_stems},
    {"gemma2", "attention_bias", false, attention_stems},
    {"gemma2", "", false, ffn_stems},
    {"gemma3_text", "attention_bias", false, attention_stems},
    {"gemma3_text", "", false, ffn_stems},
    {"olmo", "attention_bias", false, attention_stems},
    {"olmo", "", false, ffn_stems},
    {"olmo2", "attention_bias", false, attention_stems},
    {"olmo2", "", false, ffn_stems},
    {"olmo3", "attention_bias", false, attention_stems},
    {"olmo3", "", false, ffn_stems},
    {"granite", "attention_bias", false, attention_stems},
    {"granite", "mlp_bias", false, ffn_stems},
    {"smollm3", "attention_bias", false, attention_stems},
    {"smollm3", "mlp_bias", false, ffn_stems},
    {"cohere", "attention_bias", false, attention_stems},
    {"cohere", "", false, ffn_stems},
    {"cohere", "", false, norm_stems},
    {"cohere2", "attention_bias", false, attention_stems},
    {"cohere2", "", false, ffn_stems},
    {"cohere2", "", false, norm_stems},
    {"mixtral", "", false, attention_stems},
    {"qwen2_moe", "qkv_bias", true, qkv_stems},
    {"qwen2_moe", "", false, "attn_output"},
    {"qwen3_moe", "attention_bias", false, attention_stems},
    {"gpt_oss", "attention_bias", true, attention_stems},
    {"glm", "attention_bias", true, qkv_stems},
    {"glm", "", false, "attn_output ffn_up ffn_down"},
    {"glm4", "attention_bias", true, qkv_stems},
    {"glm4", "", false, "attn_output ffn_up ffn_down"},
    {"ernie4_5", "use_bias", false, all_stems},
});

/// A tensor's name in a folder, without what stands before it in the file: "self_attn.q_proj.bias".
/// Empty where the family has no such tensor.
inline std::string bias_name(const tensor_naming& names, std::string_view stem) {
    const bool outside = stem.starts_with("output");
    const std::string gguf = fmt::format("{}{}.bias", outside ? "" : "blk.0.", stem);
    const std::string name = hugging_face_name(names, gguf);
    if (name == gguf) { return {}; }
    if (!outside) { return name.substr(fmt::format(fmt::runtime(names.layer_prefix), 0).size()); }
    return stem == "output" ? name : name.substr(name.find('.') + 1);
}

inline void check_bias(const json_object& config, const family& f, const bias_rule& rule,
                       std::string_view stem, const tensor_map& tensors) {
    const std::string name = bias_name(f.names, stem);
    if (name.empty()) { return; }
    const bool expected = rule.key.empty() ? rule.usual : config.boolean(rule.key, rule.usual);
    const auto found = std::ranges::find_if(tensors, [&](const auto& item) {
        return item.first == name || item.first.ends_with("." + name);
    });
    if (expected == (found != tensors.end())) { return; }
    const std::string why =
        rule.key.empty() ? std::string(f.name) : fmt::format("{} {}", rule.key, expected);
    if (expected) {
        fail("{}: tensor '{}': expected by {}, got no such tensor", config.file(), name, why);
    }
    fail("{}: tensor '{}': expected none by {} of {}", found->second.file, printable(found->first),
         why, config.file());
}

/// Throws xlens::error for a bias that transformers would pass over, and for a missing one.
inline void check_biases(const json_object& config, const family& f, const tensor_map& tensors) {
    for (const bias_rule& rule : bias_rules) {
        if (rule.family != f.name) { continue; }
        for (std::string_view rest = rule.stems; !rest.empty();) {
            const std::string_view stem = rest.substr(0, rest.find(' '));
            check_bias(config, f, rule, stem, tensors);
            rest.remove_prefix(std::min(rest.size(), stem.size() + 1));
        }
    }
    const bool head = f.name == "phi" || f.name == "gptj" || f.name == "wikilm";
    if (!head) { check_bias(config, f, {f.name, "", false, "output"}, "output", tensors); }
}

}  // namespace xlens::detail
