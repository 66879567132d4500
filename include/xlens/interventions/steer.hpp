// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/interventions/positions.hpp>
#include <xlens/storage/rows.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace xlens {

/// Policy that pushes the residual along a direction d, after the FFN update of one layer:
///   x ← x + strength·d/‖d‖
/// so that `strength` is the length of what is added. Directions of tokens and value vectors:
/// interventions/direction.hpp.
class steer {
public:
    static constexpr hook hooks = hook::after;
    static constexpr bool rowwise = true;

    /// Throws xlens::error for a direction of length 0, or one that is not finite.
    steer(std::size_t layer, std::vector<float> direction, float strength,
          position_set positions = {})
        : m_layer(layer), m_push(std::move(direction)), m_positions(std::move(positions)) {
        double squares = 0.0;
        for (const float d : m_push) { squares += double{d} * double{d}; }
        if (!(squares > 0.0) || !std::isfinite(squares)) {
            fail("direction: expected a finite length above 0, got {}", std::sqrt(squares));
        }
        const auto by = static_cast<float>(double{strength} / std::sqrt(squares));
        for (float& d : m_push) { d *= by; }
    }

    /// Throws xlens::error unless a model of this size has the layer and the width.
    void check(const model_sizes& model) const {
        if (m_layer >= model.layers) {
            fail("layer: {}, the model has layers 0 to {}", m_layer, model.layers - 1);
        }
        if (m_push.size() != model.width) {
            fail("direction: {} numbers, the model's width is {}", m_push.size(), model.width);
        }
    }

    void after(const site& where, rows<float> x) {
        if (where.layer != m_layer) { return; }
        for (std::size_t t = 0; t < x.count(); ++t) {
            if (!m_positions.contains(where.first_position + t)) { continue; }
            for (std::size_t d = 0; d < m_push.size(); ++d) { x[t][d] += m_push[d]; }
        }
    }

private:
    std::size_t m_layer;
    std::vector<float> m_push;  // (D): strength·d/‖d‖
    position_set m_positions;
};

}  // namespace xlens
