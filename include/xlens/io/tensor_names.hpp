// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fmt/format.h>

#include <array>
#include <span>
#include <string>
#include <string_view>

// One name for each tensor whatever the file: GGUF's, which are the same for all architectures
// ("blk.3.ffn_down.weight"). Hugging Face names differ by architecture; these tables give them.

namespace xlens {

/// Whose names, and whose ways to lay weights out, a file has.
enum class tensor_names { gguf, hugging_face };

/// {} in both names is the number of a cluster, of which wikilm's embedding has several.
struct tensor_name {
    std::string_view gguf;          ///< without ".weight" or ".bias"; in a layer without "blk.N."
    std::string_view hugging_face;  ///< likewise, without the layer's prefix
};

/// The names of one architecture's tensors, outside and inside its layers.
struct tensor_naming {
    std::string_view layer_prefix;  ///< of layer {}, with its final dot
    std::span<const tensor_name> outside;
    std::span<const tensor_name> inside;
};

namespace detail {

inline constexpr std::array llama_outside = std::to_array<tensor_name>(
    {{"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}});
inline constexpr std::array llama_inside =
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

inline constexpr std::array gpt2_outside =
    std::to_array<tensor_name>({{"token_embd", "transformer.wte"},
                                {"position_embd", "transformer.wpe"},
                                {"output_norm", "transformer.ln_f"},
                                {"output", "lm_head"}});
inline constexpr std::array gpt2_inside =
    std::to_array<tensor_name>({{"attn_norm", "ln_1"},
                                {"attn_qkv", "attn.c_attn"},
                                {"attn_output", "attn.c_proj"},
                                {"ffn_norm", "ln_2"},
                                {"ffn_up", "mlp.c_fc"},
                                {"ffn_down", "mlp.c_proj"}});

inline constexpr std::array gpt_neox_outside =
    std::to_array<tensor_name>({{"token_embd", "gpt_neox.embed_in"},
                                {"output_norm", "gpt_neox.final_layer_norm"},
                                {"output", "embed_out"}});
inline constexpr std::array gpt_neox_inside =
    std::to_array<tensor_name>({{"attn_norm", "input_layernorm"},
                                {"attn_qkv", "attention.query_key_value"},
                                {"attn_output", "attention.dense"},
                                {"ffn_norm", "post_attention_layernorm"},
                                {"ffn_up", "mlp.dense_h_to_4h"},
                                {"ffn_down", "mlp.dense_4h_to_h"}});

inline constexpr std::array wikilm_outside =
    std::to_array<tensor_name>({{"token_embd.{}", "decoder.embed_tokens.embeddings.{}.0"},
                                {"token_embd_proj.{}", "decoder.embed_tokens.embeddings.{}.1"},
                                {"output_norm", "decoder.layer_norm"},
                                {"output_classes", "decoder.adaptive_softmax.head.class_proj"}});
inline constexpr std::array wikilm_inside =
    std::to_array<tensor_name>({{"attn_norm", "self_attn_layer_norm"},
                                {"attn_q", "self_attn.q_proj"},
                                {"attn_k", "self_attn.k_proj"},
                                {"attn_v", "self_attn.v_proj"},
                                {"attn_output", "self_attn.out_proj"},
                                {"ffn_norm", "final_layer_norm"},
                                {"ffn_up", "fc1"},
                                {"ffn_down", "fc2"}});

}  // namespace detail

inline tensor_naming naming_of(std::string_view preset) {
    if (preset == "gpt2") {
        return {"transformer.h.{}.", detail::gpt2_outside, detail::gpt2_inside};
    }
    if (preset == "gpt_neox") {
        return {"gpt_neox.layers.{}.", detail::gpt_neox_outside, detail::gpt_neox_inside};
    }
    if (preset == "wikilm") {
        return {"decoder.layers.{}.", detail::wikilm_outside, detail::wikilm_inside};
    }
    return {"model.layers.{}.", detail::llama_outside, detail::llama_inside};
}

/// The Hugging Face name of a tensor given by its GGUF name; a name that no table has is returned
/// as it is.
inline std::string hugging_face_name(std::string_view preset, std::string_view gguf) {
    const tensor_naming naming = naming_of(preset);
    std::string prefix;
    std::span<const tensor_name> table = naming.outside;
    std::string_view rest = gguf;
    if (rest.starts_with("blk.")) {
        rest.remove_prefix(4);
        const std::string_view layer = rest.substr(0, rest.find('.'));
        rest.remove_prefix(layer.size() + 1);
        prefix = fmt::format(fmt::runtime(naming.layer_prefix), layer);
        table = naming.inside;
    }
    const std::string_view stem = rest.substr(0, rest.rfind('.'));
    const std::string_view cluster = stem.substr(stem.rfind('.') + 1);
    for (const tensor_name& name : table) {
        if (fmt::format(fmt::runtime(name.gguf), cluster) == stem) {
            return prefix + fmt::format(fmt::runtime(name.hugging_face), cluster) +
                   std::string(rest.substr(stem.size()));
        }
    }
    return std::string(gguf);
}

}  // namespace xlens
