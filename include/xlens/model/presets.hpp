// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/kernels/activation.hpp>
#include <xlens/nn/attention.hpp>
#include <xlens/nn/feed_forward.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/nn/position.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#include <array>
#include <string_view>

// An architecture is a preset: the types that fill the one block of nn/block.hpp. What differs from
// checkpoint to checkpoint of one architecture (sizes, biases, θ, parallel residual) is data, and
// is read from the file. A new architecture is one more struct here and its tensor names in
// io/tensor_names.hpp.

namespace xlens::presets {

/// Radford et al. 2019.
struct gpt2 {
    static constexpr std::array<std::string_view, 1> architectures = {"gpt2"};
    using norm = layer_norm;
    template <weight_matrix Weights>
    using position = learned_positions<Weights>;
    using head_norm = no_head_norm;
    using activation = xlens::gelu_tanh;
    using gate = none;
};

/// LLaMA (2302.13971) and everything of its shape: Mistral, SmolLM2, TinyLlama, and Qwen2
/// (2407.10671), whose biases on queries, keys and values are data.
struct llama {
    static constexpr std::array<std::string_view, 2> architectures = {"llama", "qwen2"};
    using norm = rms_norm;
    template <weight_matrix Weights>
    using position = rotary_positions<Weights>;
    using head_norm = no_head_norm;
    using activation = xlens::silu;
    using gate = gated;
};

/// Qwen3 (2505.09388): llama with an RMS norm on each query and key head.
struct qwen3 : llama {
    static constexpr std::array<std::string_view, 1> architectures = {"qwen3"};
    using head_norm = rms_head_norm;
};

/// GPT-NeoX and Pythia (2204.06745): partial rotation, attention and FFN side by side.
struct gpt_neox {
    static constexpr std::array<std::string_view, 1> architectures = {"gpt_neox"};
    using norm = layer_norm;
    template <weight_matrix Weights>
    using position = rotary_positions<Weights>;
    using head_norm = no_head_norm;
    using activation = xlens::gelu;
    using gate = none;
};

/// The paper's WikiText-103 model (Baevski and Auli 2019, 1809.10853): ReLU, fixed positions,
/// adaptive embedding and softmax.
struct wikilm {
    static constexpr std::array<std::string_view, 1> architectures = {"wikilm"};
    using norm = layer_norm;
    template <weight_matrix Weights>
    using position = sinusoidal_positions<Weights>;
    using head_norm = no_head_norm;
    using activation = xlens::relu;
    using gate = none;
};

/// Whether models of this architecture are transformers of this preset.
template <class Preset>
constexpr bool runs(std::string_view architecture) {
    return std::ranges::find(Preset::architectures, architecture) != Preset::architectures.end();
}

}  // namespace xlens::presets
