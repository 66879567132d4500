// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/kernels/any_activation.hpp>
#include <xlens/nn/attention.hpp>
#include <xlens/nn/feed_forward.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/nn/position.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <optional>
#include <span>
#include <string_view>

namespace xlens {

namespace presets {

/// Parts that are data: any architecture, chosen when a file is read. What xlens::load returns.
struct any {
    using norm = any_norm;
    template <weight_matrix Weights>
    using position = any_positions<Weights>;
    using head_norm = any_head_norm;
    using activation = any_activation;
    using gate = any_gate;
};

}  // namespace presets

/// Where a layer's norms stand.
enum class norm_places {
    before,  ///< of attention and of FFN each (pre-norm)
    after,   ///< behind each, none before (OLMo 2)
    both,    ///< before and behind each: a sandwich (Gemma 2, GLM 4)
    shared,  ///< one norm for both, which stand side by side (GPT-J, Phi, Cohere)
};

/// Which norm queries and keys have.
enum class head_norm_kind {
    none,
    head,  ///< an RMS norm, the same for every head (Qwen 3, Gemma 3)
    row,   ///< an RMS norm of all heads as one vector (OLMo 2)
    own,   ///< a layer norm a head, if the file says so (Cohere, StableLM)
};

/// The parts of an architecture, as data.
struct architecture {
    std::string_view name;
    norm_kind norm = norm_kind::rms;
    norm_places norms = norm_places::before;
    bool norm_gain = true;  ///< false: the norms have no parameters (OLMo)
    position_kind position = position_kind::rotary;
    head_norm_kind head_norm = head_norm_kind::none;
    any_activation activation;  ///< unless the file says another
    bool gated = true;
    bool embedding_norm = false;  ///< BLOOM
    bool sinks = false;           ///< of attention: gpt-oss
};

/// Every architecture that files can have: the table of model/architectures.hpp.
[[nodiscard]] XLENS_API std::span<const architecture> architectures();

/// The row of that name. Throws xlens::error if there is none.
[[nodiscard]] XLENS_API const architecture& architecture_named(std::string_view name);

/// The activation that configurations call so ("silu", "gelu_pytorch_tanh", ...), or nothing.
[[nodiscard]] XLENS_API std::optional<any_activation> activation_named(std::string_view name);

}  // namespace xlens

#if XLENS_DEFINES(model)
#include <xlens/model/presets.hpp>
#endif
