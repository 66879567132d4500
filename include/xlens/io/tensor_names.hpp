// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>

// One name for each tensor whatever the file: GGUF's, which are the same for all architectures
// ("blk.3.ffn_down.weight"). Hugging Face names differ by family; these tables give them.

namespace xlens {

/// Whose names, and whose ways to lay weights out, a file has.
enum class tensor_names { gguf, hugging_face };

/// {} in both names is the number of a cluster, of which wikilm's embedding has several.
struct tensor_name {
    std::string_view gguf;          ///< without ".weight" or ".bias"; in a layer without "blk.N."
    std::string_view hugging_face;  ///< likewise, without the layer's prefix
};

/// The names of one family's tensors, outside and inside its layers.
struct tensor_naming {
    std::string_view layer_prefix;  ///< of layer {}, with its final dot
    std::span<const tensor_name> outside;
    std::span<const tensor_name> inside;
};

namespace names {

/// What a family's layers call otherwise than llama's, before all of llama's names.
template <std::size_t Own, std::size_t All>
consteval std::array<tensor_name, Own + All> before(const std::array<tensor_name, Own>& own,
                                                    const std::array<tensor_name, All>& all) {
    std::array<tensor_name, Own + All> out;
    std::ranges::copy(all, std::ranges::copy(own, out.begin()).out);
    return out;
}

inline constexpr auto llama_outside = std::to_array<tensor_name>(
    {{"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}});
inline constexpr auto llama_inside =
    std::to_array<tensor_name>({{"attn_norm", "input_layernorm"},
                                {"attn_q", "self_attn.q_proj"},
                                {"attn_k", "self_attn.k_proj"},
                                {"attn_v", "self_attn.v_proj"},
                                {"attn_output", "self_attn.o_proj"},
                                {"attn_q_norm", "self_attn.q_norm"},
                                {"attn_k_norm", "self_attn.k_norm"},
                                {"ffn_norm", "post_attention_layernorm"},
                                {"ffn_gate", "mlp.gate_proj"},
                                {"ffn_up", "mlp.up_proj"},
                                {"ffn_down", "mlp.down_proj"}});
/// With norms behind attention and FFN: all that Gemma 2 and 3 and OLMo 2 have.
inline constexpr auto sandwich_inside =
    before(std::to_array<tensor_name>({{"post_attention_norm", "post_attention_layernorm"},
                                       {"ffn_norm", "pre_feedforward_layernorm"},
                                       {"post_ffw_norm", "post_feedforward_layernorm"}}),
           llama_inside);
inline constexpr auto glm_inside =
    before(std::to_array<tensor_name>({{"ffn_up", "mlp.gate_up_proj"}}), llama_inside);
inline constexpr auto glm4_inside =
    before(std::to_array<tensor_name>({{"post_attention_norm", "post_self_attn_layernorm"},
                                       {"ffn_up", "mlp.gate_up_proj"},
                                       {"post_ffw_norm", "post_mlp_layernorm"}}),
           llama_inside);
inline constexpr auto phi_outside =
    std::to_array<tensor_name>({{"token_embd", "model.embed_tokens"},
                                {"output_norm", "model.final_layernorm"},
                                {"output", "lm_head"}});
inline constexpr auto phi_inside = before(
    std::to_array<tensor_name>(
        {{"attn_output", "self_attn.dense"}, {"ffn_up", "mlp.fc1"}, {"ffn_down", "mlp.fc2"}}),
    llama_inside);
inline constexpr auto phi3_inside =
    before(std::to_array<tensor_name>(
               {{"attn_qkv", "self_attn.qkv_proj"}, {"ffn_up", "mlp.gate_up_proj"}}),
           llama_inside);
inline constexpr auto starcoder2_inside = before(
    std::to_array<tensor_name>({{"ffn_up", "mlp.c_fc"}, {"ffn_down", "mlp.c_proj"}}), llama_inside);

/// With a norm for each query and key head.
inline constexpr auto stablelm_inside =
    before(std::to_array<tensor_name>({{"attn_q_norm.{}", "self_attn.q_layernorm.norms.{}"},
                                       {"attn_k_norm.{}", "self_attn.k_layernorm.norms.{}"}}),
           llama_inside);

inline constexpr auto mixtral_inside =
    before(std::to_array<tensor_name>({{"ffn_gate_inp", "block_sparse_moe.gate"},
                                       {"ffn_gate_exps.{}", "block_sparse_moe.experts.{}.w1"},
                                       {"ffn_up_exps.{}", "block_sparse_moe.experts.{}.w3"},
                                       {"ffn_down_exps.{}", "block_sparse_moe.experts.{}.w2"}}),
           llama_inside);
inline constexpr auto qwen_moe_inside =
    before(std::to_array<tensor_name>({{"ffn_gate_inp", "mlp.gate"},
                                       {"ffn_gate_exps.{}", "mlp.experts.{}.gate_proj"},
                                       {"ffn_up_exps.{}", "mlp.experts.{}.up_proj"},
                                       {"ffn_down_exps.{}", "mlp.experts.{}.down_proj"},
                                       {"ffn_gate_inp_shexp", "mlp.shared_expert_gate"},
                                       {"ffn_gate_shexp", "mlp.shared_expert.gate_proj"},
                                       {"ffn_up_shexp", "mlp.shared_expert.up_proj"},
                                       {"ffn_down_shexp", "mlp.shared_expert.down_proj"}}),
           llama_inside);

/// As io/mxfp4_blocks.hpp spells the experts' tensors of a folder.
inline constexpr auto gpt_oss_inside =
    before(std::to_array<tensor_name>({{"ffn_gate_inp", "mlp.router"},
                                       {"ffn_gate_up_exps", "mlp.experts.gate_up_proj"},
                                       {"ffn_down_exps", "mlp.experts.down_proj"},
                                       {"attn_sinks", "self_attn.sinks"}}),
           llama_inside);

inline constexpr auto gpt2_outside =
    std::to_array<tensor_name>({{"token_embd", "transformer.wte"},
                                {"position_embd", "transformer.wpe"},
                                {"output_norm", "transformer.ln_f"},
                                {"output", "lm_head"}});
inline constexpr auto gpt2_inside = std::to_array<tensor_name>({{"attn_norm", "ln_1"},
                                                                {"attn_qkv", "attn.c_attn"},
                                                                {"attn_output", "attn.c_proj"},
                                                                {"ffn_norm", "ln_2"},
                                                                {"ffn_up", "mlp.c_fc"},
                                                                {"ffn_down", "mlp.c_proj"}});
inline constexpr auto gpt_neo_inside =
    std::to_array<tensor_name>({{"attn_norm", "ln_1"},
                                {"attn_q", "attn.attention.q_proj"},
                                {"attn_k", "attn.attention.k_proj"},
                                {"attn_v", "attn.attention.v_proj"},
                                {"attn_output", "attn.attention.out_proj"},
                                {"ffn_norm", "ln_2"},
                                {"ffn_up", "mlp.c_fc"},
                                {"ffn_down", "mlp.c_proj"}});
inline constexpr auto gptj_inside = std::to_array<tensor_name>({{"attn_norm", "ln_1"},
                                                                {"attn_q", "attn.q_proj"},
                                                                {"attn_k", "attn.k_proj"},
                                                                {"attn_v", "attn.v_proj"},
                                                                {"attn_output", "attn.out_proj"},
                                                                {"ffn_up", "mlp.fc_in"},
                                                                {"ffn_down", "mlp.fc_out"}});

inline constexpr auto gpt_neox_outside =
    std::to_array<tensor_name>({{"token_embd", "gpt_neox.embed_in"},
                                {"output_norm", "gpt_neox.final_layer_norm"},
                                {"output", "embed_out"}});
inline constexpr auto gpt_neox_inside =
    std::to_array<tensor_name>({{"attn_norm", "input_layernorm"},
                                {"attn_qkv", "attention.query_key_value"},
                                {"attn_output", "attention.dense"},
                                {"ffn_norm", "post_attention_layernorm"},
                                {"ffn_up", "mlp.dense_h_to_4h"},
                                {"ffn_down", "mlp.dense_4h_to_h"}});

inline constexpr auto opt_outside =
    std::to_array<tensor_name>({{"token_embd", "model.decoder.embed_tokens"},
                                {"position_embd", "model.decoder.embed_positions"},
                                {"output_norm", "model.decoder.final_layer_norm"},
                                {"output", "lm_head"}});
inline constexpr auto opt_inside =
    std::to_array<tensor_name>({{"attn_norm", "self_attn_layer_norm"},
                                {"attn_q", "self_attn.q_proj"},
                                {"attn_k", "self_attn.k_proj"},
                                {"attn_v", "self_attn.v_proj"},
                                {"attn_output", "self_attn.out_proj"},
                                {"ffn_norm", "final_layer_norm"},
                                {"ffn_up", "fc1"},
                                {"ffn_down", "fc2"}});

inline constexpr auto bloom_outside =
    std::to_array<tensor_name>({{"token_embd", "transformer.word_embeddings"},
                                {"token_embd_norm", "transformer.word_embeddings_layernorm"},
                                {"output_norm", "transformer.ln_f"},
                                {"output", "lm_head"}});
/// BLOOM's, and Falcon's, which may have two norms at the start of a layer.
inline constexpr auto bloom_inside =
    std::to_array<tensor_name>({{"attn_norm", "input_layernorm"},
                                {"attn_qkv", "self_attention.query_key_value"},
                                {"attn_output", "self_attention.dense"},
                                {"ffn_norm", "post_attention_layernorm"},
                                {"ffn_up", "mlp.dense_h_to_4h"},
                                {"ffn_down", "mlp.dense_4h_to_h"},
                                {"attn_norm_2", "ln_attn"},
                                {"attn_norm_1", "ln_mlp"}});

inline constexpr auto mpt_outside =
    std::to_array<tensor_name>({{"token_embd", "transformer.wte"},
                                {"output_norm", "transformer.norm_f"},
                                {"output", "lm_head"}});
inline constexpr auto mpt_inside = std::to_array<tensor_name>({{"attn_norm", "norm_1"},
                                                               {"attn_qkv", "attn.Wqkv"},
                                                               {"attn_output", "attn.out_proj"},
                                                               {"ffn_norm", "norm_2"},
                                                               {"ffn_up", "ffn.up_proj"},
                                                               {"ffn_down", "ffn.down_proj"}});

inline constexpr auto wikilm_outside =
    std::to_array<tensor_name>({{"token_embd.{}", "decoder.embed_tokens.embeddings.{}.0"},
                                {"token_embd_proj.{}", "decoder.embed_tokens.embeddings.{}.1"},
                                {"output_norm", "decoder.layer_norm"},
                                {"output_classes", "decoder.adaptive_softmax.head.class_proj"}});
inline constexpr auto wikilm_inside =
    std::to_array<tensor_name>({{"attn_norm", "self_attn_layer_norm"},
                                {"attn_q", "self_attn.q_proj"},
                                {"attn_k", "self_attn.k_proj"},
                                {"attn_v", "self_attn.v_proj"},
                                {"attn_output", "self_attn.out_proj"},
                                {"ffn_norm", "final_layer_norm"},
                                {"ffn_up", "fc1"},
                                {"ffn_down", "fc2"}});

inline constexpr tensor_naming llama{"model.layers.{}.", llama_outside, llama_inside};
inline constexpr tensor_naming sandwich{"model.layers.{}.", llama_outside, sandwich_inside};
inline constexpr tensor_naming glm{"model.layers.{}.", llama_outside, glm_inside};
inline constexpr tensor_naming glm4{"model.layers.{}.", llama_outside, glm4_inside};
inline constexpr tensor_naming phi{"model.layers.{}.", phi_outside, phi_inside};
inline constexpr tensor_naming phi3{"model.layers.{}.", llama_outside, phi3_inside};
inline constexpr tensor_naming starcoder2{"model.layers.{}.", llama_outside, starcoder2_inside};
inline constexpr tensor_naming stablelm{"model.layers.{}.", llama_outside, stablelm_inside};
inline constexpr tensor_naming mixtral{"model.layers.{}.", llama_outside, mixtral_inside};
inline constexpr tensor_naming qwen_moe{"model.layers.{}.", llama_outside, qwen_moe_inside};
inline constexpr tensor_naming gpt_oss{"model.layers.{}.", llama_outside, gpt_oss_inside};
inline constexpr tensor_naming gpt2{"transformer.h.{}.", gpt2_outside, gpt2_inside};
inline constexpr tensor_naming gpt_neo{"transformer.h.{}.", gpt2_outside, gpt_neo_inside};
inline constexpr tensor_naming gptj{"transformer.h.{}.", gpt2_outside, gptj_inside};
inline constexpr tensor_naming gpt_neox{"gpt_neox.layers.{}.", gpt_neox_outside, gpt_neox_inside};
inline constexpr tensor_naming opt{"model.decoder.layers.{}.", opt_outside, opt_inside};
inline constexpr tensor_naming bloom{"transformer.h.{}.", bloom_outside, bloom_inside};
inline constexpr tensor_naming mpt{"transformer.blocks.{}.", mpt_outside, mpt_inside};
inline constexpr tensor_naming wikilm{"decoder.layers.{}.", wikilm_outside, wikilm_inside};

}  // namespace names
}  // namespace xlens
