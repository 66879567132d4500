// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/model/hyperparameters.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

#if XLENS_DEFINES(io)
#include <xlens/core/error.hpp>
#include <xlens/io/hyperparameter_checks.hpp>
#endif

namespace xlens {

/// The hyperparameters of a GGUF file. `vocabulary` is left to the embedding's rows, except
/// wikilm's, whose embedding is in clusters.
/// Throws xlens::error naming the file, the key and both values.
XLENS_API hyperparameters read_hyperparameters(const gguf_file& file);

#if XLENS_DEFINES(io)
namespace detail {

inline std::string preset_of_gguf(const gguf_file& file) {
    std::string name = file.string("general.architecture");
    if (name == "gptneox") { return "gpt_neox"; }
    if (name == "mistral") { return "llama"; }
    for (const auto* known : {"gpt2", "llama", "qwen2", "qwen3", "wikilm"}) {
        if (name == known) { return name; }
    }
    fail(
        "{}: general.architecture: expected one of gpt2, llama, qwen2, qwen3, gptneox, wikilm, "
        "got '{}'",
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

/// wikilm is no architecture of llama.cpp: its keys are our own, in llama.cpp's style. The cutoffs
/// cannot be had from the tensors, which they describe.
inline void read_gguf_wikilm(const gguf_file& file, const std::string& prefix, hyperparameters& p) {
    p.vocabulary = count(file, prefix + "vocab_size", max_vocabulary);
    const std::string cutoffs = prefix + "adaptive_cutoffs";
    read_cutoffs(file.name(), cutoffs, file.integers(cutoffs), p);
    p.final_norm = file.boolean(prefix + "final_norm", true);
    read_sinusoidal(file, "tokenizer.ggml.padding_token_id", p);
    const std::string scale = prefix + "embedding_scale";
    const double usual = std::sqrt(static_cast<float>(p.width));
    p.embedding_scale = positive(file, scale, file.number(scale, usual));
}

}  // namespace detail

XLENS_API hyperparameters read_hyperparameters(const gguf_file& file) {
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
    if (p.architecture == "wikilm") {
        detail::read_gguf_wikilm(file, prefix, p);
    } else if (p.architecture != "gpt2") {
        detail::read_gguf_rope(file, prefix, p);
    }
    if (p.architecture == "gpt_neox") {
        p.parallel_residual = file.boolean(prefix + "use_parallel_residual", true);
    }
    detail::check_heads(file.name(), p, file.has(size_key));
    return p;
}
#endif

}  // namespace xlens
