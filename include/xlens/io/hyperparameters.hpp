// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/io/hugging_face.hpp>
#include <xlens/model/hyperparameters.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cmath>
#include <string>
#include <string_view>

// Hyperparameters from a file's own keys, checked here and nowhere else: every count is between 1
// and a stated maximum, heads divide what they must divide, and what a preset cannot do is refused.

namespace xlens {

inline constexpr std::uint64_t max_layers = 4096;
inline constexpr std::uint64_t max_width = 1U << 20U;
inline constexpr std::uint64_t max_context = 1U << 28U;
inline constexpr std::uint64_t max_vocabulary = 1U << 27U;

inline constexpr std::string_view supported_architectures =
    "gpt2, llama, mistral, qwen2, qwen3, gpt_neox, wikilm";

namespace detail {

template <class Source>
std::size_t count_in(const Source& source, std::string_view key, std::uint64_t value,
                     std::uint64_t most) {
    if (value < 1 || value > most) {
        fail("{}: {}: expected 1 to {}, got {}", source.name(), key, most, value);
    }
    return static_cast<std::size_t>(value);
}
template <class Source>
std::size_t count(const Source& source, const std::string& key, std::uint64_t most) {
    return count_in(source, key, source.unsigned_integer(key), most);
}
template <class Source>
std::size_t count(const Source& source, const std::string& key, std::uint64_t most,
                  std::uint64_t fallback) {
    return count_in(source, key, source.unsigned_integer(key, fallback), most);
}
template <class Source>
float positive(const Source& source, std::string_view key, double value) {
    if (!(value > 0.0) || !(value < 1e30)) {
        fail("{}: {}: expected a positive number, got {}", source.name(), key, value);
    }
    return static_cast<float>(value);
}
template <class Source>
float epsilon(const Source& source, std::string_view key) {
    const double value = source.number(key);
    if (!(value >= 0.0) || value > 1.0) {
        fail("{}: {}: expected 0 to 1, got {}", source.name(), key, value);
    }
    return static_cast<float>(value);
}

inline void check_heads(const std::string& file, const hyperparameters& p, bool head_size_given) {
    if (!head_size_given && p.width % p.heads != 0) {
        fail("{}: heads: {} do not divide the width {}", file, p.heads, p.width);
    }
    if (p.heads % p.kv_heads != 0) {
        fail("{}: key-value heads: {} do not divide the {} heads", file, p.kv_heads, p.heads);
    }
    if (p.rotary_size > p.head_size || p.rotary_size % 2 != 0) {
        fail("{}: rotated dimensions: expected an even number up to the head size {}, got {}", file,
             p.head_size, p.rotary_size);
    }
}

// --- GGUF ------------------------------------------------------------------------------------

inline std::string preset_of_gguf(const gguf_file& file) {
    const std::string name = file.string("general.architecture");
    if (name == "gptneox") { return "gpt_neox"; }
    if (name == "mistral") { return "llama"; }
    for (const auto* known : {"gpt2", "llama", "qwen2", "qwen3"}) {
        if (name == known) { return name; }
    }
    fail("{}: general.architecture: expected one of gpt2, llama, qwen2, qwen3, gptneox, got '{}'",
         file.name(), printable(name));
}

inline void read_gguf_rope(const gguf_file& file, const std::string& prefix, hyperparameters& p) {
    p.rotary_size = count(file, prefix + "rope.dimension_count", max_width, p.head_size);
    p.rotary_base = positive(file, "rope.freq_base", file.number(prefix + "rope.freq_base", 10000));
    // Converters permute llama's query and key rows so that neighbours turn together.
    p.rotary_style = p.architecture == "llama" ? rope_style::pairs : rope_style::halves;
    const std::string type = file.string(prefix + "rope.scaling.type", "none");
    if (type == "linear") {
        const std::string key = prefix + "rope.scaling.factor";
        p.rotary_scaling = rope_linear{positive(file, key, file.number(key))};
    } else if (type != "none") {
        fail("{}: {}rope.scaling.type: expected none or linear, got '{}'", file.name(), prefix,
             printable(type));
    }
}

// --- Hugging Face ----------------------------------------------------------------------------

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
        return {"n_layer",     "n_embd",          "n_inner", "n_head", "n_positions",
                "layer_norm_epsilon", "activation_function"};
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

/// transformers 4 keeps θ beside rope_scaling, 5 keeps both in rope_parameters.
inline void read_config_rope(const hugging_face_folder& folder, hyperparameters& p) {
    const json_object top = folder.fields();
    const bool together = top.has("rope_parameters");
    const json_object rope = together                  ? top.object("rope_parameters")
                             : top.has("rope_scaling") ? top.object("rope_scaling")
                                                       : top;
    const double base = top.number("rope_theta", top.number("rotary_emb_base", 10000.0));
    p.rotary_base = positive(folder, "rope_theta", together ? rope.number("rope_theta", base) : base);
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
        p.rotary_scaling = rope_llama3{value("factor"), value("low_freq_factor"),
                                       value("high_freq_factor"),
                                       value("original_max_position_embeddings")};
    } else if (type != "default") {
        fail("{}: rope_type: expected default, linear or llama3, got '{}'", top.file(),
             printable(type));
    }
}

inline std::string preset_of_config(const hugging_face_folder& folder) {
    const std::string name = folder.string("model_type");
    if (name == "mistral") { return "llama"; }
    for (const auto* known : {"gpt2", "llama", "qwen2", "qwen3", "gpt_neox", "wikilm"}) {
        if (name == known) { return name; }
    }
    fail("{}: model_type: expected one of {}, got '{}'", folder.fields().file(),
         supported_architectures, printable(name));
}

inline void read_cutoffs(const hugging_face_folder& folder, hyperparameters& p) {
    const auto& list = folder.config();
    const auto found = list.find("adaptive_cutoffs");
    if (found == list.end() || !found->is_array() || found->empty()) {
        fail("{}: adaptive_cutoffs: expected an array of token counts", folder.fields().file());
    }
    std::size_t last = 0;
    for (const auto& item : *found) {
        const bool fits = item.is_number_unsigned() && item.get<std::uint64_t>() > last &&
                          item.get<std::uint64_t>() <= p.vocabulary;
        if (!fits) {
            fail("{}: adaptive_cutoffs: expected rising numbers up to the vocabulary {}, got {}",
                 folder.fields().file(), p.vocabulary, printable(item.dump()));
        }
        last = item.get<std::size_t>();
        if (last < p.vocabulary) { p.cutoffs.push_back(last); }
    }
}

}  // namespace detail

/// The hyperparameters of a GGUF file. `vocabulary` is left to the embedding's rows.
/// Throws xlens::error naming the file, the key and both values.
inline hyperparameters read_hyperparameters(const gguf_file& file) {
    using detail::count;
    hyperparameters p;
    p.architecture = detail::preset_of_gguf(file);
    const std::string prefix = file.string("general.architecture") + ".";
    p.layers = count(file, prefix + "block_count", max_layers);
    p.width = count(file, prefix + "embedding_length", max_width);
    p.inner_width = count(file, prefix + "feed_forward_length", max_width);
    p.heads = count(file, prefix + "attention.head_count", max_width);
    p.kv_heads = count(file, prefix + "attention.head_count_kv", max_width, p.heads);
    p.context = count(file, prefix + "context_length", max_context);
    const bool rms = file.has(prefix + "attention.layer_norm_rms_epsilon");
    p.norm_epsilon = detail::epsilon(
        file, prefix + (rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon"));
    const std::string size_key = prefix + "attention.key_length";
    p.head_size = count(file, size_key, max_width, std::max<std::size_t>(p.width / p.heads, 1));
    p.window = file.has(prefix + "attention.sliding_window")
                   ? count(file, prefix + "attention.sliding_window", max_context)
                   : 0;
    if (p.architecture != "gpt2") { detail::read_gguf_rope(file, prefix, p); }
    if (p.architecture == "gpt_neox") {
        p.parallel_residual = file.boolean(prefix + "use_parallel_residual", true);
    }
    detail::check_heads(file.name(), p, file.has(size_key));
    return p;
}

/// The hyperparameters of a Hugging Face folder's config.json.
/// Throws xlens::error naming the file, the key and both values.
inline hyperparameters read_hyperparameters(const hugging_face_folder& folder) {
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
    const bool windowed = folder.has("sliding_window") &&
                          folder.boolean("use_sliding_window", p.architecture == "llama");
    p.window = windowed ? count(folder, "sliding_window", max_context) : 0;
    detail::check_activation(folder, keys.activation, p.architecture);
    if (p.architecture == "wikilm") {
        detail::read_cutoffs(folder, p);
        p.final_norm = folder.boolean("final_norm", true);
        p.position_origin =
            static_cast<std::size_t>(folder.unsigned_integer("pad_token_id", 1)) + 1;
        p.embedding_scale = folder.boolean("scale_embedding", true)
                                ? std::sqrt(static_cast<float>(p.width))
                                : 1.0F;
    } else if (p.architecture != "gpt2") {
        detail::read_config_rope(folder, p);
    }
    if (p.architecture == "gpt_neox") {
        p.parallel_residual = folder.boolean("use_parallel_residual", true);
    }
    detail::check_heads(folder.name(), p, folder.has("head_dim"));
    return p;
}

}  // namespace xlens
