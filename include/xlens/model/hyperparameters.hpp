// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/kernels/rope.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace xlens {

/// Everything about a model that its file says in numbers. Checked when it is read (io/
/// gguf_hyperparameters.hpp, config_hyperparameters.hpp): counts are positive and consistent, so
/// nothing after it has to ask.
struct hyperparameters {
    std::string architecture;     ///< preset name: "llama", "gpt2", ...
    std::size_t layers = 0;       ///< L
    std::size_t width = 0;        ///< D
    std::size_t inner_width = 0;  ///< F
    std::size_t heads = 0;        ///< H
    std::size_t kv_heads = 0;     ///< K, divides H
    std::size_t head_size = 0;    ///< usually D / H
    std::size_t vocabulary = 0;   ///< V
    std::size_t context = 0;      ///< positions it was trained for
    std::size_t window = 0;       ///< sliding attention window, 0: none
    float norm_epsilon = 1e-5F;

    std::size_t rotary_size = 0;   ///< rotated dimensions a head
    float rotary_base = 10000.0F;  ///< θ
    rope_scaling rotary_scaling;
    rope_style rotary_style = rope_style::halves;

    bool tied = true;                  ///< the unembedding may be the embedding
    bool parallel_residual = false;    ///< gpt_neox
    bool final_norm = true;            ///< wikilm may have none
    float embedding_scale = 1.0F;      ///< wikilm: √D
    std::vector<std::size_t> cutoffs;  ///< wikilm: first token of each tail cluster
    std::size_t position_origin = 0;   ///< wikilm: what position 0 counts as
    std::string quantization;          ///< format that most weights are stored in
};

}  // namespace xlens
