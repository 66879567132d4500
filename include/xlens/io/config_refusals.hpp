// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/json/field.hpp>

#include <array>
#include <string>
#include <string_view>

// What of config.json xlens does not apply although it changes what transformers computes: refused
// by name, unless it has the value that changes nothing. Everything else in transformers'
// configuration classes stands in io/config_keys.hpp.

namespace xlens::detail {

/// A key with the only value that is read; null is always fine.
struct config_refusal {
    std::string_view family;  ///< empty: all
    std::string_view key;
    std::string_view only;  ///< as JSON: "false", "1", "\"x\"", or "hidden_size": that key's
    std::string_view what;  ///< it is, for the message
};

inline constexpr auto config_refusals = std::to_array<config_refusal>({
    {"", "add_cross_attention", "false", "attention to another model"},
    {"", "is_encoder_decoder", "false", "a model with an encoder"},
    {"", "use_bidirectional_attention", "false", "attention to later positions"},
    {"", "is_causal", "true", "attention to later positions"},
    {"", "per_layer_config", "null", "settings of single layers"},
    {"", "transformers_weights", "null", "weights in a file of another name"},
    {"gpt2", "scale_attn_by_inverse_layer_idx", "false", "scores divided by the layer's number"},
    {"opt", "do_layer_norm_before", "true", "norms behind attention and FFN"},
    {"opt", "_remove_final_layer_norm", "false", "no final norm"},
    {"opt", "layer_norm_elementwise_affine", "true", "norms without gain"},
    {"opt", "word_embed_proj_dim", "hidden_size", "a projection of the embedding"},
    {"bloom", "apply_residual_connection_post_layernorm", "false", "residuals behind the norm"},
    {"falcon", "alibi", "false", "ALiBi, which Falcon rounds to bfloat16"},
    {"phi", "qk_layernorm", "false", "norms of queries and keys"},
    {"gpt_oss", "swiglu_alpha", "1.702", "another gate"},
    {"gpt_oss", "swiglu_limit", "7", "another gate"},
    {"mpt", "no_bias", "true", "biases"},
    {"mpt", "embedding_fraction", "1", "a damped embedding"},
});

/// What stands in MPT's attn_config.
inline constexpr auto mpt_refusals = std::to_array<config_refusal>({
    {"mpt", "alibi", "true", "learned positions"},
    {"mpt", "qk_ln", "false", "norms of queries and keys"},
    {"mpt", "prefix_lm", "false", "a prefix that sees all of itself"},
    {"mpt", "attn_uses_sequence_id", "false", "attention within marked sequences"},
    {"mpt", "alibi_bias_max", "8", "slopes that transformers takes for those of 8"},
    {"mpt", "attn_type", "\"multihead_attention\"", "another kind of attention"},
});

/// Other names of keys, which transformers takes before them.
struct config_alias {
    std::string_view family;
    std::string_view alias;
    std::string_view key;
};

inline constexpr auto config_aliases = std::to_array<config_alias>({
    {"gpt2", "hidden_size", "n_embd"},
    {"gpt2", "max_position_embeddings", "n_positions"},
    {"gpt2", "num_attention_heads", "n_head"},
    {"gpt2", "num_hidden_layers", "n_layer"},
    {"gptj", "hidden_size", "n_embd"},
    {"gptj", "max_position_embeddings", "n_positions"},
    {"gptj", "num_attention_heads", "n_head"},
    {"gptj", "num_hidden_layers", "n_layer"},
    {"gpt_neo", "num_attention_heads", "num_heads"},
    {"gpt_neo", "num_hidden_layers", "num_layers"},
    {"bloom", "num_attention_heads", "n_head"},
    {"bloom", "num_hidden_layers", "n_layer"},
    {"bloom", "n_embed", "hidden_size"},
    {"mpt", "hidden_size", "d_model"},
    {"mpt", "num_attention_heads", "n_heads"},
    {"mpt", "num_hidden_layers", "n_layers"},
    {"falcon", "n_embed", "hidden_size"},
});

inline void refuse_key(const json_object& config, const config_refusal& r) {
    const auto found = config.find(r.key);
    if (!found) { return; }
    const std::string got = found->text();
    if (got == r.only || got == std::string(r.only) + ".0") { return; }
    if (r.only == "hidden_size" && got == config.at("hidden_size").text()) { return; }
    fail("{}: {}: {}, which xlens does not compute: expected {}, got {}", config.file(), r.key,
         r.what, r.only, printable(got));
}

/// Kinds of models that people may well try, and what of them xlens does not compute.
struct model_refusal {
    std::string_view names;  ///< model_type, apart by spaces
    std::string_view what;
};

inline constexpr auto model_refusals = std::to_array<model_refusal>({
    {"deepseek_v2 deepseek_v3 deepseek_v32 kimi_k2 minicpm3 longcat_flash",
     "keys and values behind a low rank (MLA)"},
    {"qwen3_next qwen3_5 qwen3_5_moe qwen3_5_text qwen3_5_moe_text kimi_linear olmo_hybrid",
     "layers of linear attention (Gated DeltaNet)"},
    {"gemma3n gemma3n_text gemma4 gemma4_text",
     "embeddings in every layer, and layers that share keys and values"},
    {"llama4 llama4_text", "attention in chunks, and norms behind rotations"},
    {"mamba mamba2 falcon_mamba rwkv xlstm", "no attention, but a state"},
    {"jamba zamba zamba2 bamba falcon_h1 nemotron_h granitemoehybrid recurrent_gemma lfm2 lfm2_moe",
     "layers with a state beside attention"},
    {"bert roberta xlm-roberta distilbert albert electra deberta deberta-v2 modernbert mpnet",
     "an encoder, whose attention sees later positions"},
    {"t5 mt5 umt5 bart mbart pegasus marian m2m_100 whisper t5gemma longt5",
     "a model with an encoder"},
    {"gemma3 qwen2_vl qwen2_5_vl qwen3_vl mllama llava llava_next paligemma mistral3 idefics3 "
     "smolvlm internvl",
     "images beside texts: only a folder of its text model is read"},
    {"phimoe olmoe dbrx granitemoe glm4_moe ernie4_5_moe dots1 minimax jetmoe",
     "a mixture of experts of another kind"},
    {"gpt_bigcode codegen xglm nemotron persimmon bitnet nanochat apertus exaone4",
     "parts that no family here has"},
    {"chatglm baichuan internlm internlm2 qwen phi-msft", "code of its own, not transformers'"},
});

/// Throws xlens::error for a folder that is refused whatever its weights are.
inline void refuse_folder(const json_object& config) {
    if (const auto kind = config.find("model_type"); kind && kind->value().is_string()) {
        const std::string name = kind->string();
        for (const model_refusal& r : model_refusals) {
            if ((" " + std::string(r.names) + " ").find(" " + name + " ") != std::string::npos) {
                fail("{}: model_type: {}: {}, which xlens does not compute", config.file(), name,
                     r.what);
            }
        }
    }
}

/// Throws xlens::error for a key whose value would change what is computed.
inline void refuse_keys(const json_object& config, std::string_view family) {
    for (const config_refusal& r : config_refusals) {
        if (r.family.empty() || r.family == family) { refuse_key(config, r); }
    }
    for (const config_alias& a : config_aliases) {
        if (a.family != family || !config.has(a.alias) || !config.has(a.key)) { continue; }
        const std::string expected = config.at(a.key).text();
        const std::string got = config.at(a.alias).text();
        if (expected != got) {
            fail("{}: {}: expected {} as for {}, got {}", config.file(), a.alias,
                 printable(expected), a.key, printable(got));
        }
    }
    if (family == "mpt" && config.has("attn_config")) {
        const json_object attention = config.object("attn_config");
        for (const config_refusal& r : mpt_refusals) { refuse_key(attention, r); }
    }
}

}  // namespace xlens::detail
