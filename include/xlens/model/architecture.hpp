// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/kernels/any_activation.hpp>
#include <xlens/nn/attention.hpp>
#include <xlens/nn/feed_forward.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/nn/position.hpp>
#include <xlens/storage/weight_matrix.hpp>

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

/// The parts of an architecture, as data.
struct architecture {
    std::string_view name;
    norm_kind norm = norm_kind::rms;
    position_kind position = position_kind::rotary;
    bool head_norm = false;
    any_activation activation;
    bool gated = true;
};

/// Every architecture that files can have: the table of model/presets.hpp.
[[nodiscard]] XLENS_API std::span<const architecture> architectures();

}  // namespace xlens

#if XLENS_DEFINES(model)
#include <xlens/model/presets.hpp>
#endif
