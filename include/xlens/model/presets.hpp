// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/kernels/activation.hpp>
#include <xlens/model/architecture.hpp>
#include <xlens/nn/attention.hpp>
#include <xlens/nn/feed_forward.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/nn/position.hpp>
#include <xlens/storage/matrix.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#include <array>
#include <string_view>
#include <type_traits>

// An architecture says which parts fill the one block of nn/block.hpp. It stands here twice: as
// types, for programs that fix it when they are compiled (a preset), and as a row of the table
// `architectures`, made from the preset, for xlens::model, whose parts are data. What differs from
// checkpoint to checkpoint of one architecture (sizes, biases, θ, parallel residual) is read from
// the file. Architectures without a preset are rows of the table alone (model/architectures.hpp).

namespace xlens {

namespace presets {

/// Radford et al. 2019.
struct gpt2 {
    static constexpr std::array<std::string_view, 1> architectures = {"gpt2"};
    using norm = layer_norm;
    template <weight_matrix Weights>
    using position = learned_positions<Weights>;
    using head_norm = no_head_norm;
    using activation = xlens::gelu_tanh;
    using gate = ungated;
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
    using gate = ungated;
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
    using gate = ungated;
};

/// Whether models of this architecture are transformers of this preset.
template <class Preset>
constexpr bool runs(std::string_view architecture) {
    return std::ranges::find(Preset::architectures, architecture) != Preset::architectures.end();
}

}  // namespace presets

/// What a preset says in types.
template <class Preset>
constexpr architecture architecture_of(std::string_view name) {
    using position = typename Preset::template position<any_matrix>;
    return {
        .name = name,
        .norm = std::is_same_v<typename Preset::norm, rms_norm> ? norm_kind::rms  //
                                                                : norm_kind::layer,
        .position = std::is_same_v<position, rotary_positions<any_matrix>> ? position_kind::rotary
                    : std::is_same_v<position, learned_positions<any_matrix>>
                        ? position_kind::learned
                        : position_kind::sinusoidal,
        .head_norm = std::is_same_v<typename Preset::head_norm, no_head_norm>
                         ? head_norm_kind::none
                         : head_norm_kind::head,
        .activation = typename Preset::activation(),
        .gated = std::is_same_v<typename Preset::gate, xlens::gated>,
    };
}

}  // namespace xlens

// The table is made of presets too, so it stands behind them whichever header comes first.
#if XLENS_DEFINES(model)
#include <xlens/model/architectures.hpp>
#endif
