// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/io/config_refusals.hpp>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

// What becomes of every key of every family's configuration class in transformers: it is applied
// (io/config_*.hpp), harmless to a forward pass, or refused unless it has the one value that is
// computed (io/config_refusals.hpp). tests/io/config_keys.cpp walks through the classes' keys, each
// of which must stand in exactly one of the lists. Whatever a class does not have, transformers
// passes over, and so does xlens: a left-over sliding_window of a llama, for one.

namespace xlens::detail {

/// Keys, apart by spaces. Without family: of all.
struct config_key_list {
    std::string_view family;
    std::string_view keys;
};

inline constexpr auto applied_keys = std::to_array<config_key_list>({
    {"",
     "model_type vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads "
     "num_key_value_heads head_dim hidden_act max_position_embeddings rms_norm_eps rope_parameters "
     "tie_word_embeddings"},
    {"gpt2",
     "n_embd n_layer n_head n_inner n_positions activation_function layer_norm_epsilon "
     "scale_attn_weights"},
    {"llama", "attention_bias mlp_bias"},
    {"mistral", "sliding_window"},
    {"qwen2", "use_sliding_window sliding_window max_window_layers layer_types"},
    {"qwen3", "use_sliding_window sliding_window max_window_layers layer_types attention_bias"},
    {"gpt_neox", "layer_norm_eps attention_bias use_parallel_residual"},
    {"gpt_neo",
     "num_layers num_heads window_size attention_types attention_layers activation_function "
     "layer_norm_epsilon"},
    {"gptj",
     "n_embd n_layer n_head n_inner n_positions activation_function layer_norm_epsilon rotary_dim"},
    {"opt", "ffn_dim activation_function enable_bias"},
    {"bloom", "n_layer n_head layer_norm_epsilon"},
    {"mpt",
     "d_model n_layers n_heads max_seq_len layer_norm_epsilon attn_config "
     "attn_config.clip_qkv attn_config.softmax_scale"},
    {"falcon",
     "ffn_hidden_size num_kv_heads layer_norm_epsilon activation bias multi_query parallel_attn "
     "new_decoder_architecture num_ln_in_parallel_attn"},
    {"phi", "layer_norm_eps"},
    {"phi3", "sliding_window original_max_position_embeddings"},
    {"stablelm", "layer_norm_eps use_parallel_residual qk_layernorm use_qkv_bias"},
    {"starcoder2", "norm_epsilon sliding_window use_bias"},
    {"gemma", "attention_bias"},
    {"gemma2",
     "hidden_activation attention_bias sliding_window layer_types query_pre_attn_scalar "
     "attn_logit_softcapping final_logit_softcapping"},
    {"gemma3_text",
     "hidden_activation attention_bias sliding_window layer_types query_pre_attn_scalar "
     "final_logit_softcapping"},
    {"olmo", "attention_bias clip_qkv"},
    {"olmo2", "attention_bias"},
    {"olmo3", "attention_bias sliding_window layer_types"},
    {"granite",
     "attention_bias mlp_bias embedding_multiplier residual_multiplier attention_multiplier "
     "logits_scaling"},
    {"smollm3",
     "attention_bias mlp_bias use_sliding_window sliding_window layer_types no_rope_layers "
     "no_rope_layer_interval"},
    {"cohere", "layer_norm_eps attention_bias logit_scale use_qk_norm"},
    {"cohere2", "layer_norm_eps attention_bias logit_scale sliding_window layer_types"},
    {"gpt_oss", "attention_bias sliding_window layer_types num_local_experts num_experts_per_tok"},
    {"glm", "attention_bias"},
    {"glm4", "attention_bias"},
    {"ernie4_5", "use_bias"},
    {"mixtral", "sliding_window num_local_experts num_experts_per_tok"},
    {"qwen2_moe",
     "use_sliding_window sliding_window max_window_layers layer_types num_experts "
     "num_experts_per_tok moe_intermediate_size shared_expert_intermediate_size norm_topk_prob "
     "decoder_sparse_step mlp_only_layers qkv_bias"},
    {"qwen3_moe",
     "use_sliding_window sliding_window num_local_experts num_experts_per_tok "
     "moe_intermediate_size norm_topk_prob decoder_sparse_step mlp_only_layers attention_bias"},
});

inline constexpr auto harmless_keys = std::to_array<config_key_list>({
    {"",
     "_name_or_path architectures transformers_version dtype chunk_size_feed_forward id2label "
     "label2id problem_type return_dict output_attentions output_hidden_states use_cache "
     "initializer_range attention_dropout bos_token_id eos_token_id pad_token_id"},
    {"gpt2",
     "attn_pdrop embd_pdrop resid_pdrop reorder_and_upcast_attn summary_activation "
     "summary_first_dropout summary_proj_to_labels summary_type summary_use_proj"},
    {"llama", "pretraining_tp"},
    {"gpt_neox", "classifier_dropout hidden_dropout is_decoder"},
    {"gpt_neo", "classifier_dropout embed_dropout resid_dropout"},
    {"gptj", "attn_pdrop embd_pdrop resid_pdrop"},
    {"opt", "dropout layerdrop init_std"},
    {"bloom", "hidden_dropout pretraining_tp slow_but_exact"},
    // MPT's class has keys that its code does not read: F is 4·D whatever expansion_ratio says.
    {"mpt",
     "emb_pdrop resid_pdrop init_device expansion_ratio learned_pos_emb logit_scale norm_type "
     "attn_config.attn_impl attn_config.attn_pdrop"},
    {"falcon", "hidden_dropout"},
    {"phi", "embd_pdrop resid_pdrop"},
    {"phi3", "embd_pdrop resid_pdrop"},
    {"stablelm", "hidden_dropout"},
    {"starcoder2", "embedding_dropout residual_dropout"},
    {"mixtral", "output_router_logits router_aux_loss_coef router_jitter_noise"},
    {"gpt_oss", "output_router_logits router_aux_loss_coef"},
    {"qwen2_moe", "output_router_logits router_aux_loss_coef"},
    {"qwen3_moe", "output_router_logits router_aux_loss_coef"},
    // The pattern is read where layer_types is missing, then without its first sign.
    {"gemma3_text", "_sliding_window_pattern attn_logit_softcapping"},
});

/// Is `key` one of the words?
constexpr bool has_word(std::string_view words, std::string_view key) {
    while (!words.empty()) {
        const std::string_view word = words.substr(0, words.find(' '));
        if (word == key) { return true; }
        words.remove_prefix(std::min(words.size(), word.size() + 1));
    }
    return false;
}

/// In how many of these lists a key of that family stands.
constexpr std::size_t lists_with(std::span<const config_key_list> lists, std::string_view family,
                                 std::string_view key) {
    return static_cast<std::size_t>(std::ranges::count_if(lists, [&](const config_key_list& l) {
        return (l.family.empty() || l.family == family) && has_word(l.keys, key);
    }));
}

}  // namespace xlens::detail
