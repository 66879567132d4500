// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/nn/value_matrix.hpp>
#include <xlens/storage/any_matrix.hpp>

#include <string_view>

#if XLENS_DEFINES(concepts)
#include <xlens/core/error.hpp>
#include <xlens/nn/norm.hpp>

#include <span>
#include <utility>
#include <vector>
#endif

namespace xlens {

/// Which vector of a neuron: the one that it writes to the residual, or one that it reads it by.
enum class neuron_side {
    value,  ///< v_i, column i of the second matrix
    key,    ///< k_i of a layer without gate: m_i = act(⟨k_i, x⟩ + b_i)
    gate,   ///< g_i of a gated layer: m_i = act(⟨g_i, x⟩)·⟨u_i, x⟩
    up,     ///< u_i of a gated layer
};

inline constexpr std::string_view name_of(neuron_side side) {
    switch (side) {
        case neuron_side::value: return "value";
        case neuron_side::key: return "key";
        case neuron_side::gate: return "gate";
        case neuron_side::up: return "up";
    }
    return "";
}
XLENS_API neuron_side parse_side(std::string_view name);

/// The vectors (D) of the F neurons of a layer on one side, as directions of the residual: the
/// columns c_i of stored matrices (D, F), and γ⊙c_i where what reads them is behind a norm of gain
/// γ, or what they are written through is one.
using layer_vectors = value_matrix<any_matrix>;

/// One side of a layer. The read side of `folded` has the gain γ of the FFN's norm in it: γ⊙k_i is
/// how ⟨k_i, norm(x)⟩ responds to a change of the residual x, but for the norm's denominator (and a
/// layer norm's mean). `raw` takes k_i itself, as Dar et al. 2022 (2209.02535) do. Borrows the
/// block. Throws xlens::error for a side that its layers do not have.
XLENS_API layer_vectors vectors_of(const transformer<>::block_type& block, neuron_side side,
                                   projection form);

#if XLENS_DEFINES(concepts)

XLENS_API neuron_side parse_side(std::string_view name) {
    if (name == "value") { return neuron_side::value; }
    if (name == "key") { return neuron_side::key; }
    if (name == "gate") { return neuron_side::gate; }
    if (name == "up") { return neuron_side::up; }
    fail("side: expected value, key, gate or up, got '{}'", printable(name));
}

XLENS_API layer_vectors vectors_of(const transformer<>::block_type& block, neuron_side side,
                                   projection form) {
    const auto& ffn = block.ffn;
    if (side == neuron_side::value) { return ffn.values(); }
    std::span<const float> gain;
    if (form == projection::folded && block.ffn_norm) {
        gain = detail::as_span(block.ffn_norm->gain);
    }
    const auto read_by = [&](std::vector<any_matrix> parts) {
        for (any_matrix& w : parts) { w = w.in_f32().transpose(); }
        return layer_vectors(std::move(parts), gain);
    };
    if (ffn.is_gated()) {
        if (side == neuron_side::gate) { return read_by(ffn.gating()); }
        if (side == neuron_side::up) { return read_by(ffn.up()); }
        fail("side: the layers are gated: expected value, gate or up, got key");
    }
    if (side == neuron_side::key) { return read_by(ffn.up()); }
    fail("side: the layers have no gate: expected value or key, got {}",
         side == neuron_side::gate ? "gate" : "up");
}

#endif

}  // namespace xlens
