// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/io/hugging_face.hpp>
#include <xlens/model/hyperparameters.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#if XLENS_DEFINES(io)
#include <xlens/core/error.hpp>
#include <xlens/io/hyperparameter_checks.hpp>
#endif

namespace xlens {

inline constexpr std::string_view supported_architectures =
    "gpt2, llama, mistral, qwen2, qwen3, gpt_neox, wikilm";

/// The hyperparameters of a Hugging Face folder's config.json.
/// Throws xlens::error naming the file, the key and both values.
XLENS_API hyperparameters read_hyperparameters(const hugging_face_folder& folder);

#if XLENS_DEFINES(io)
namespace detail {

/// What config.json calls each hyperparameter; empty: the architecture has none.
struct config_keys {
    std::string layers = "num_hidden_layers";
    std::string width = "hidden_size";
    std::string inner_width = "intermediate_size";
    std::string heads = "num_attention_heads";
    std::string context = "max_position_embeddings";
    std::string epsilon = "rms_norm_eps";
    std::string activation = "hidden_act";
};

inline config_keys keys_of(std::string_view preset) {
    if (preset == "gpt2") {
        return {"n_layer",
                "n_embd",
                "n_inner",
                "n_head",
                "n_positions",
                "layer_norm_epsilon",
                "activation_function"};
    }
    config_keys keys;
    if (preset == "gpt_neox" || preset == "wikilm") { keys.epsilon = "layer_norm_eps"; }
    return keys;
}

inline void check_activation(const hugging_face_folder& folder, const std::string& key,
                             std::string_view preset) {
    if (preset == "wikilm") { return; }
    const std::string found = folder.string(key);
    const auto is_one_of = [&](std::initializer_list<std::string_view> names) {
        return std::find(names.begin(), names.end(), found) != names.end();
    };
    const bool fits = preset == "gpt2"       ? is_one_of({"gelu_new", "gelu_pytorch_tanh"})
                      : preset == "gpt_neox" ? is_one_of({"gelu"})
                                             : is_one_of({"silu", "swish"});
    if (!fits) {
        fail("{}: {}: expected {} for {}, got '{}'", folder.fields().file(), key,
             preset == "gpt2"       ? "gelu_new"
             : preset == "gpt_neox" ? "gelu"
                                    : "silu",
             preset, printable(found));
    }
}

/// Refuses what the one attention cannot do.
inline void check_unset(const hugging_face_folder& folder, std::string_view key) {
    if (folder.boolean(key, false)) {
        fail("{}: {}: expected false, got true", folder.fields().file(), key);
    }
}

/// transformers 4 keeps θ beside rope_scaling, 5 keeps both in rope_parameters.
inline void read_config_rope(const hugging_face_folder& folder, hyperparameters& p) {
    const json_object top = folder.fields();
    const bool together = top.has("rope_parameters");
    const json_object rope = together                  ? top.object("rope_parameters")
                             : top.has("rope_scaling") ? top.object("rope_scaling")
                                                       : top;
    const double base = top.number("rope_theta", top.number("rotary_emb_base", 10000.0));
    p.rotary_base =
        positive(folder, "rope_theta", together ? rope.number("rope_theta", base) : base);
    const double part = top.number("partial_rotary_factor", top.number("rotary_pct", 1.0));
    const double share = together ? rope.number("partial_rotary_factor", part) : part;
    if (!(share > 0.0) || share > 1.0) {
        fail("{}: rotary_pct: expected above 0 and up to 1, got {}", top.file(), share);
    }
    p.rotary_size = static_cast<std::size_t>(share * static_cast<double>(p.head_size));
    const bool scaled = together || top.has("rope_scaling");
    const std::string type =
        scaled ? rope.string("rope_type", rope.string("type", "default")) : "default";
    const auto value = [&](const char* key) { return positive(folder, key, rope.number(key)); };
    if (type == "linear") {
        p.rotary_scaling = rope_linear{value("factor")};
    } else if (type == "llama3") {
        p.rotary_scaling =
            rope_llama3{value("factor"), value("low_freq_factor"), value("high_freq_factor"),
                        value("original_max_position_embeddings")};
    } else if (type != "default") {
        fail("{}: rope_type: expected default, linear or llama3, got '{}'", top.file(),
             printable(type));
    }
}

inline std::string preset_of_config(const hugging_face_folder& folder) {
    std::string name = folder.string("model_type");
    if (name == "mistral") { return "llama"; }
    for (const auto* known : {"gpt2", "llama", "qwen2", "qwen3", "gpt_neox", "wikilm"}) {
        if (name == known) { return name; }
    }
    fail("{}: model_type: expected one of {}, got '{}'", folder.fields().file(),
         supported_architectures, printable(name));
}

inline void read_wikilm(const hugging_face_folder& folder, hyperparameters& p) {
    const auto cutoffs = folder.fields().unsigned_integers("adaptive_cutoffs");
    read_cutoffs(folder.fields().file(), "adaptive_cutoffs", cutoffs, p);
    p.final_norm = folder.boolean("final_norm", true);
    read_sinusoidal(folder, "pad_token_id", p);
    const bool scaled = folder.boolean("scale_embedding", true);
    p.embedding_scale = scaled ? std::sqrt(static_cast<float>(p.width)) : 1.0F;
}

}  // namespace detail

XLENS_API hyperparameters read_hyperparameters(const hugging_face_folder& folder) {
    using detail::count;
    hyperparameters p;
    p.architecture = detail::preset_of_config(folder);
    const detail::config_keys keys = detail::keys_of(p.architecture);
    p.layers = count(folder, keys.layers, max_layers);
    p.width = count(folder, keys.width, max_width);
    p.inner_width = p.architecture == "gpt2"
                        ? count(folder, keys.inner_width, max_width, 4 * p.width)
                        : count(folder, keys.inner_width, max_width);
    p.heads = count(folder, keys.heads, max_width);
    p.kv_heads = count(folder, "num_key_value_heads", max_width, p.heads);
    p.context = count(folder, keys.context, max_context);
    p.vocabulary = count(folder, "vocab_size", max_vocabulary);
    p.norm_epsilon = detail::epsilon(folder, keys.epsilon);
    p.head_size = count(folder, "head_dim", max_width, std::max<std::size_t>(p.width / p.heads, 1));
    p.tied = folder.boolean("tie_word_embeddings", true);
    // Qwen's windows hold for some layers only; llama's (Mistral) for all.
    detail::check_unset(folder, "use_sliding_window");
    detail::check_unset(folder, "scale_attn_by_inverse_layer_idx");
    const bool windowed = folder.has("sliding_window") && p.architecture == "llama";
    p.window = windowed ? count(folder, "sliding_window", max_context) : 0;
    detail::check_activation(folder, keys.activation, p.architecture);
    if (p.architecture == "wikilm") {
        detail::read_wikilm(folder, p);
    } else if (p.architecture != "gpt2") {
        detail::read_config_rope(folder, p);
    }
    if (p.architecture == "gpt_neox") {
        p.parallel_residual = folder.boolean("use_parallel_residual", true);
    }
    detail::check_heads(folder.name(), p, folder.has("head_dim"));
    return p;
}
#endif

}  // namespace xlens
