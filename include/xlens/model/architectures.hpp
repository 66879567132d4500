// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/error.hpp>
#include <xlens/kernels/activation.hpp>
#include <xlens/model/architecture.hpp>
#include <xlens/model/presets.hpp>

#include <array>
#include <optional>
#include <span>
#include <string_view>

// The architectures that files can have. What differs from checkpoint to checkpoint of one of them
// (sizes, biases, θ, windows, scales) is read from the file; how files of a family name and lay out
// their tensors stands in io/families.hpp.

namespace xlens {

#if XLENS_DEFINES(model)
namespace detail {

inline constexpr any_activation act_silu = silu();
inline constexpr any_activation act_gelu = gelu();
inline constexpr any_activation act_gelu_tanh = gelu_tanh();
inline constexpr any_activation act_relu = relu();
inline constexpr any_activation act_clamped = clamped_swiglu();

}  // namespace detail

XLENS_API std::span<const architecture> architectures() {
    using namespace detail;
    using enum norm_places;
    constexpr norm_kind layer = norm_kind::layer;
    constexpr position_kind learned = position_kind::learned;
    constexpr position_kind no_positions = position_kind::none;
    static constexpr std::array table = {
        architecture_of<presets::gpt2>("gpt2"),
        architecture_of<presets::llama>("llama"),
        architecture_of<presets::llama>("qwen2"),
        architecture_of<presets::qwen3>("qwen3"),
        architecture_of<presets::gpt_neox>("gpt_neox"),
        architecture_of<presets::wikilm>("wikilm"),
        architecture{.name = "gpt_neo",
                     .norm = layer,
                     .position = learned,
                     .activation = act_gelu_tanh,
                     .gated = false},
        architecture{.name = "gptj",
                     .norm = layer,
                     .norms = shared,
                     .activation = act_gelu_tanh,
                     .gated = false},
        architecture{.name = "opt",
                     .norm = layer,
                     .position = learned,
                     .activation = act_relu,
                     .gated = false},
        architecture{.name = "bloom",
                     .norm = layer,
                     .position = no_positions,
                     .activation = act_gelu_tanh,
                     .gated = false,
                     .embedding_norm = true},
        architecture{.name = "mpt",
                     .norm = layer,
                     .position = no_positions,
                     .activation = act_gelu,
                     .gated = false},
        architecture{.name = "falcon", .norm = layer, .activation = act_gelu, .gated = false},
        architecture{.name = "phi",
                     .norm = layer,
                     .norms = shared,
                     .activation = act_gelu_tanh,
                     .gated = false},
        architecture{.name = "phi3", .activation = act_silu},
        architecture{.name = "stablelm",
                     .norm = layer,
                     .head_norm = head_norm_kind::own,
                     .activation = act_silu},
        architecture{
            .name = "starcoder2", .norm = layer, .activation = act_gelu_tanh, .gated = false},
        architecture{.name = "gemma", .activation = act_gelu_tanh},
        architecture{.name = "gemma2", .norms = both, .activation = act_gelu_tanh},
        architecture{.name = "gemma3",
                     .norms = both,
                     .head_norm = head_norm_kind::head,
                     .activation = act_gelu_tanh},
        architecture{.name = "olmo", .norm = layer, .norm_gain = false, .activation = act_silu},
        architecture{.name = "olmo2",
                     .norms = after,
                     .head_norm = head_norm_kind::row,
                     .activation = act_silu},
        architecture{.name = "granite", .activation = act_silu},
        architecture{.name = "smollm3", .activation = act_silu},
        architecture{.name = "cohere",
                     .norm = layer,
                     .norms = shared,
                     .head_norm = head_norm_kind::own,
                     .activation = act_silu},
        architecture{.name = "cohere2", .norm = layer, .norms = shared, .activation = act_silu},
        architecture{.name = "mixtral", .activation = act_silu},
        architecture{.name = "qwen2_moe", .activation = act_silu},
        architecture{
            .name = "qwen3_moe", .head_norm = head_norm_kind::head, .activation = act_silu},
        architecture{.name = "gpt_oss", .activation = act_clamped, .sinks = true},
        architecture{.name = "glm", .activation = act_silu},
        architecture{.name = "glm4", .norms = both, .activation = act_silu},
        architecture{.name = "ernie4_5", .activation = act_silu},
    };
    return table;
}

XLENS_API const architecture& architecture_named(std::string_view name) {
    for (const architecture& a : architectures()) {
        if (a.name == name) { return a; }
    }
    fail("architecture: expected a known one, got '{}'", printable(name));
}

XLENS_API std::optional<any_activation> activation_named(std::string_view name) {
    if (name == "silu" || name == "swish") { return detail::act_silu; }
    if (name == "gelu") { return detail::act_gelu; }
    if (name == "relu") { return detail::act_relu; }
    for (const std::string_view tanh :
         {"gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_tanh"}) {
        if (name == tanh) { return detail::act_gelu_tanh; }
    }
    return std::nullopt;
}
#endif

}  // namespace xlens
