// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/kernels/rope.hpp>
#include <xlens/nn/position.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace xlens {

/// What differs from layer to layer.
struct layer_settings {
    std::size_t window = 0;  ///< keys that attention sees, 0: all
    layer_rope rope = layer_rope::first;
};

/// Everything about a model that its file says in numbers. Checked when it is read (io/
/// gguf_hyperparameters.hpp, config_hyperparameters.hpp): counts are positive and consistent, so
/// nothing after it has to ask.
struct hyperparameters {
    std::string architecture;     ///< row of architectures(): "llama", "gpt2", ...
    std::string family;           ///< how its file names things: io/families.hpp; "mistral", ...
    std::size_t layers = 0;       ///< L
    std::size_t width = 0;        ///< D
    std::size_t inner_width = 0;  ///< F
    std::size_t heads = 0;        ///< H
    std::size_t kv_heads = 0;     ///< K, divides H
    std::size_t head_size = 0;    ///< usually D / H
    std::size_t vocabulary = 0;   ///< V
    std::size_t context = 0;      ///< positions it was trained for
    std::vector<layer_settings> per_layer;  ///< L
    float norm_epsilon = 1e-5F;
    std::string activation;        ///< as its file calls it; empty: the architecture's
    float attention_scale = 0.0F;  ///< of ⟨q, k⟩; 0: 1/√head_size
    float attention_cap = 0.0F;    ///< of scores, 0: none (Gemma 2)
    float alibi_bias = 0.0F;       ///< largest slope's exponent, 0: no ALiBi
    float clip = 0.0F;             ///< of queries, keys and values, 0: none
    bool head_norms = true;        ///< false: the file leaves out the architecture's

    std::size_t rotary_size = 0;   ///< rotated dimensions a head
    float rotary_base = 10000.0F;  ///< θ
    rope_scaling rotary_scaling;
    rope_style rotary_style = rope_style::halves;
    float second_base = 0.0F;  ///< θ of layer_rope::second; 0: no layer has it
    rope_scaling second_scaling;
    std::size_t position_offset = 0;  ///< rows of the position table before position 0 (OPT)

    std::size_t experts = 0;       ///< N of a mixture, without the shared one; 0: none
    std::size_t expert_width = 0;  ///< F_e
    std::size_t experts_used = 0;  ///< a position
    bool experts_renormalised = false;
    bool experts_biased = false;   ///< N neurons more: the biases of what experts write
    std::size_t shared_width = 0;  ///< F of the shared expert, 0: there is none

    bool tied = true;                  ///< the unembedding may be the embedding
    bool parallel_residual = false;    ///< attention and FFN side by side (GPT-NeoX)
    bool shared_norm = false;          ///< ... behind one norm (Falcon 7B, Phi)
    bool final_norm = true;            ///< wikilm may have none
    float embedding_scale = 1.0F;      ///< Gemma, wikilm: √D
    float residual_scale = 1.0F;       ///< of what attention and FFN add (Granite)
    float logit_scale = 1.0F;          ///< Cohere, Granite
    float logit_cap = 0.0F;            ///< 0: none (Gemma 2)
    std::vector<std::size_t> cutoffs;  ///< wikilm: first token of each tail cluster
    std::size_t position_origin = 0;   ///< wikilm: what position 0 counts as
    std::string quantization;          ///< format that most weights are stored in
};

}  // namespace xlens
