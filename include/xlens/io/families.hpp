// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/io/tensor_names.hpp>
#include <xlens/kernels/rope.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#if XLENS_DEFINES(io)
#include <fmt/format.h>

#include <array>
#endif

namespace xlens {

/// What config.json calls the sizes of a family. Empty: it has no such key.
struct config_keys {
    std::string_view layers = "num_hidden_layers";
    std::string_view width = "hidden_size";
    std::string_view inner_width = "intermediate_size";
    std::string_view heads = "num_attention_heads";
    std::string_view kv_heads = "num_key_value_heads";
    std::string_view context = "max_position_embeddings";
    std::string_view epsilon = "rms_norm_eps";
    std::string_view activation = "hidden_act";
};

/// How the rows of one matrix for queries, keys and values lie in a Hugging Face file.
enum class qkv_rows {
    parts,  ///< all queries, all keys, all values
    groups  ///< a key-value head at a time: its queries, its key, its value
};

/// Which layers' attention has a window.
enum class window_rule {
    never,     ///< whatever the file says: transformers applies none
    all,       ///< every layer, if the file gives a window
    pattern,   ///< all but every n-th, or as layer_types says
    optional,  ///< use_sliding_window, from layer max_window_layers on, or as layer_types says
    listed     ///< attention_types (GPT-Neo)
};

/// Which rotation the layers have.
enum class rope_rule {
    one,            ///< the same for all
    by_window,      ///< layers with a window have one of their own (Gemma 3, OLMo 3)
    windowed,       ///< layers without a window have none (Cohere 2)
    no_rope_layers  ///< every n-th has none, or as no_rope_layers says (SmolLM 3)
};

/// What config.json calls the sizes of a mixture of experts.
struct expert_keys {
    std::string_view count{};  ///< empty: the family has no experts
    std::string_view width = "intermediate_size";
    std::string_view shared_width{};   ///< empty: no expert is shared
    bool always_renormalised = false;  ///< else norm_topk_prob says
    bool biased = false;               ///< what an expert writes has a bias (gpt-oss)
};

/// One kind of files: what names and layouts it has, in Hugging Face folders and in GGUF. Its parts
/// are the architecture's (model/architectures.hpp).
struct family {
    std::string_view name;          ///< model_type of config.json
    std::string_view architecture;  ///< row of architectures()
    std::string_view gguf;          ///< general.architecture; empty: llama.cpp has none
    tensor_naming names = names::llama;
    config_keys keys{};
    rope_style rope = rope_style::halves;       ///< of a folder
    rope_style gguf_rope = rope_style::halves;  ///< of GGUF, whose rows may be permuted
    qkv_rows qkv = qkv_rows::parts;             ///< of a folder; GGUF has parts
    bool gate_in_up = false;     ///< the gate's rows, then the up matrix's, are one tensor, ffn_up
    bool gain_plus_one = false;  ///< folders keep γ - 1 (Gemma)
    bool transposed = false;     ///< folders keep the layers' matrices as (inputs, outputs): GPT-2
    std::size_t inner_factor = 0;  ///< F = so many D where the file does not say; 0: it must
    std::size_t context = 0;       ///< where the file does not say; 0: it must
    double epsilon = 0.0;          ///< likewise
    double theta = 10000.0;        ///< likewise, of a folder
    double rotary_part = 0.0;      ///< of a head, where the file does not say; 0: all, always
    bool tied = false;             ///< where the file does not say: the head is the embedding
    window_rule window = window_rule::never;
    std::size_t window_size = 0;  ///< where the file does not say; 0: none
    std::size_t window_period = 0;
    rope_rule layers_rope = rope_rule::one;
    expert_keys experts{};
};

/// All families.
[[nodiscard]] XLENS_API std::span<const family> families();

/// The family of that name; null for a name that none has.
[[nodiscard]] XLENS_API const family* find_family(std::string_view name);

/// The Hugging Face name of a tensor given by its GGUF name; a name that the family's tables do not
/// have is returned as it is.
[[nodiscard]] XLENS_API std::string hugging_face_name(const tensor_naming& naming,
                                                      std::string_view gguf);

#if XLENS_DEFINES(io)
XLENS_API std::span<const family> families() {
    constexpr rope_style pairs = rope_style::pairs;
    constexpr config_keys gpt2_keys{.layers = "n_layer",
                                    .width = "n_embd",
                                    .inner_width = "n_inner",
                                    .heads = "n_head",
                                    .kv_heads = {},
                                    .context = "n_positions",
                                    .epsilon = "layer_norm_epsilon",
                                    .activation = "activation_function"};
    constexpr config_keys layer_norm_keys{.epsilon = "layer_norm_eps"};
    static constexpr std::array table = {
        family{.name = "gpt2",
               .architecture = "gpt2",
               .gguf = "gpt2",
               .names = names::gpt2,
               .keys = gpt2_keys,
               .transposed = true,
               .inner_factor = 4,
               .epsilon = 1e-5,
               .tied = true},
        family{.name = "llama", .architecture = "llama", .gguf = "llama", .gguf_rope = pairs},
        family{.name = "mistral",
               .architecture = "llama",
               .gguf = {},
               .gguf_rope = pairs,
               .window = window_rule::all,
               .window_size = 4096},
        family{.name = "qwen2",
               .architecture = "qwen2",
               .gguf = "qwen2",
               .window = window_rule::optional},
        family{.name = "qwen3",
               .architecture = "qwen3",
               .gguf = "qwen3",
               .window = window_rule::optional},
        family{.name = "gpt_neox",
               .architecture = "gpt_neox",
               .gguf = "gptneox",
               .names = names::gpt_neox,
               .keys = layer_norm_keys,
               .qkv = qkv_rows::groups,
               .rotary_part = 0.25},
        family{.name = "wikilm",
               .architecture = "wikilm",
               .gguf = "wikilm",
               .names = names::wikilm,
               .keys = {.epsilon = "layer_norm_eps", .activation = {}},
               .tied = true},
        family{.name = "gpt_neo",
               .architecture = "gpt_neo",
               .gguf = {},
               .names = names::gpt_neo,
               .keys = {.layers = "num_layers",
                        .heads = "num_heads",
                        .kv_heads = {},
                        .epsilon = "layer_norm_epsilon",
                        .activation = "activation_function"},
               .inner_factor = 4,
               .epsilon = 1e-5,
               .tied = true,
               .window = window_rule::listed},
        family{.name = "gptj",
               .architecture = "gptj",
               .gguf = {},
               .names = names::gptj,
               .keys = gpt2_keys,
               .rope = pairs,
               .inner_factor = 4,
               .epsilon = 1e-5},
        family{.name = "opt",
               .architecture = "opt",
               .gguf = {},
               .names = names::opt,
               .keys = {.inner_width = "ffn_dim",
                        .kv_heads = {},
                        .epsilon = {},
                        .activation = "activation_function"},
               .epsilon = 1e-5,
               .tied = true},
        family{.name = "bloom",
               .architecture = "bloom",
               .gguf = "bloom",
               .names = names::bloom,
               .keys = {.layers = "n_layer",
                        .inner_width = {},
                        .heads = "n_head",
                        .kv_heads = {},
                        .context = "seq_length",
                        .epsilon = "layer_norm_epsilon",
                        .activation = {}},
               .qkv = qkv_rows::groups,
               .inner_factor = 4,
               .context = 2048,
               .epsilon = 1e-5,
               .tied = true},
        family{.name = "mpt",
               .architecture = "mpt",
               .gguf = "mpt",
               .names = names::mpt,
               .keys = {.layers = "n_layers",
                        .width = "d_model",
                        .inner_width = {},
                        .heads = "n_heads",
                        .kv_heads = {},
                        .context = "max_seq_len",
                        .epsilon = "layer_norm_epsilon",
                        .activation = {}},
               .inner_factor = 4,
               .context = 2048,
               .epsilon = 1e-5,
               .tied = true},
        family{.name = "falcon",
               .architecture = "falcon",
               .gguf = "falcon",
               .names = names::bloom,
               .keys = {.inner_width = "ffn_hidden_size",
                        .kv_heads = "num_kv_heads",
                        .epsilon = "layer_norm_epsilon",
                        .activation = "activation"},
               .qkv = qkv_rows::groups,
               .inner_factor = 4,
               .context = 2048,
               .epsilon = 1e-5,
               .tied = true},
        family{.name = "phi",
               .architecture = "phi",
               .gguf = "phi2",
               .names = names::phi,
               .keys = layer_norm_keys,
               .rotary_part = 0.5},
        family{.name = "phi3",
               .architecture = "phi3",
               .gguf = "phi3",
               .names = names::phi3,
               .gate_in_up = true,
               .rotary_part = 1.0,
               .window = window_rule::all},
        family{.name = "stablelm",
               .architecture = "stablelm",
               .gguf = "stablelm",
               .names = names::stablelm,
               .keys = layer_norm_keys,
               .rotary_part = 0.25},
        family{.name = "starcoder2",
               .architecture = "starcoder2",
               .gguf = "starcoder2",
               .names = names::starcoder2,
               .keys = {.epsilon = "norm_epsilon"},
               .tied = true,
               .window = window_rule::all},
        family{.name = "gemma",
               .architecture = "gemma",
               .gguf = "gemma",
               .gain_plus_one = true,
               .tied = true},
        family{.name = "gemma2",
               .architecture = "gemma2",
               .gguf = "gemma2",
               .names = names::sandwich,
               .keys = {.activation = "hidden_activation"},
               .gain_plus_one = true,
               .tied = true,
               .window = window_rule::pattern,
               .window_size = 4096,
               .window_period = 2},
        family{.name = "gemma3_text",
               .architecture = "gemma3",
               .gguf = "gemma3",
               .names = names::sandwich,
               .keys = {.activation = "hidden_activation"},
               .gain_plus_one = true,
               .theta = 1'000'000.0,
               .tied = true,
               .window = window_rule::pattern,
               .window_size = 4096,
               .window_period = 6,
               .layers_rope = rope_rule::by_window},
        family{.name = "olmo",
               .architecture = "olmo",
               .gguf = "olmo",
               .keys = {.epsilon = {}},
               .gguf_rope = pairs,
               .epsilon = 1e-5},
        family{.name = "olmo2", .architecture = "olmo2", .gguf = "olmo2", .names = names::sandwich},
        family{.name = "olmo3",
               .architecture = "olmo2",
               .gguf = {},
               .names = names::sandwich,
               .theta = 500'000.0,
               .window = window_rule::pattern,
               .window_size = 4096,
               .window_period = 4,
               .layers_rope = rope_rule::by_window},
        family{.name = "granite", .architecture = "granite", .gguf = "granite", .gguf_rope = pairs},
        family{.name = "smollm3",
               .architecture = "smollm3",
               .gguf = "smollm3",
               .gguf_rope = pairs,
               .theta = 2'000'000.0,
               .tied = true,
               .window = window_rule::optional,
               .layers_rope = rope_rule::no_rope_layers},
        family{.name = "cohere",
               .architecture = "cohere",
               .gguf = "command-r",
               .keys = layer_norm_keys,
               .rope = pairs,
               .gguf_rope = pairs,
               .theta = 500'000.0,
               .tied = true},
        family{.name = "cohere2",
               .architecture = "cohere2",
               .gguf = "cohere2",
               .keys = layer_norm_keys,
               .rope = pairs,
               .gguf_rope = pairs,
               .tied = true,
               .window = window_rule::pattern,
               .window_size = 4096,
               .window_period = 4,
               .layers_rope = rope_rule::windowed},
        // llama.cpp's architecture llama reads Mixtral too: gguf_hyperparameters.hpp tells them
        // apart.
        family{.name = "mixtral",
               .architecture = "mixtral",
               .gguf = {},
               .names = names::mixtral,
               .gguf_rope = pairs,
               .window = window_rule::all,
               .experts = {.count = "num_local_experts", .always_renormalised = true}},
        family{.name = "qwen2_moe",
               .architecture = "qwen2_moe",
               .gguf = "qwen2moe",
               .names = names::qwen_moe,
               .window = window_rule::optional,
               .experts = {.count = "num_experts",
                           .width = "moe_intermediate_size",
                           .shared_width = "shared_expert_intermediate_size"}},
        family{.name = "qwen3_moe",
               .architecture = "qwen3_moe",
               .gguf = "qwen3moe",
               .names = names::qwen_moe,
               .window = window_rule::optional,
               .window_size = 4096,
               .experts = {.count = "num_experts", .width = "moe_intermediate_size"}},
        family{
            .name = "gpt_oss",
            .architecture = "gpt_oss",
            .gguf = "gpt-oss",
            .names = names::gpt_oss,
            .theta = 150'000.0,
            .window = window_rule::pattern,
            .window_size = 128,
            .window_period = 2,
            .experts = {.count = "num_local_experts", .always_renormalised = true, .biased = true}},
        family{.name = "glm",
               .architecture = "glm",
               .gguf = "chatglm",
               .names = names::glm,
               .rope = pairs,
               .gguf_rope = pairs,
               .gate_in_up = true,
               .rotary_part = 0.5},
        family{.name = "glm4",
               .architecture = "glm4",
               .gguf = "glm4",
               .names = names::glm4,
               .rope = pairs,
               .gguf_rope = pairs,
               .gate_in_up = true,
               .rotary_part = 0.5},
        family{.name = "ernie4_5",
               .architecture = "ernie4_5",
               .gguf = "ernie4_5",
               .rope = pairs,
               .gguf_rope = pairs,
               .theta = 500'000.0,
               .tied = true},
    };
    return table;
}

XLENS_API const family* find_family(std::string_view name) {
    for (const family& f : families()) {
        if (f.name == name) { return &f; }
    }
    return nullptr;
}

XLENS_API std::string hugging_face_name(const tensor_naming& naming, std::string_view gguf) {
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
#endif

}  // namespace xlens
