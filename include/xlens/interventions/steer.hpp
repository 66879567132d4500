// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/interventions/positions.hpp>
#include <xlens/storage/rows.hpp>

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace xlens {

/// A vector in the residual: a range of numbers, or an expression of xtensor.
template <class D>
concept direction_like = requires(const D& d) {
    { *d.begin() } -> std::convertible_to<float>;
    d.end();
} && !std::same_as<D, position_set>;

/// Policy that pushes the residual along a direction d, after the FFN update of one layer:
///   x ← x + strength·d/‖d‖
/// so that `strength` is the length of what is added, or, without a strength, x ← x + d.
/// A direction is anything that holds D floats in a row: a vector, a span, an xtensor or an
/// expression of xtensor, which is evaluated and copied. Directions of tokens and value vectors:
/// interventions/direction.hpp.
class steer {
public:
    static constexpr hook hooks = hook::after;
    static constexpr bool rowwise = true;

    /// Adds strength·d/‖d‖. Throws xlens::error for a direction of length 0, and for one or a
    /// strength that is not finite.
    template <direction_like Direction = std::vector<float>>
    steer(std::size_t layer, const Direction& direction, float strength,
          position_set positions = {})
        : steer(layer, direction, std::move(positions)) {
        if (!std::isfinite(strength)) {
            fail("steer: strength: expected a finite number, got {}", strength);
        }
        const auto by = static_cast<float>(double{strength} / m_length);
        for (float& d : m_push) { d *= by; }
    }
    /// Adds d as it is, with its own length. Throws as above.
    template <direction_like Direction = std::vector<float>>
    steer(std::size_t layer, const Direction& direction, position_set positions = {})
        : m_layer(layer), m_push(numbers_of(direction)), m_positions(std::move(positions)) {
        double squares = 0.0;
        for (const float d : m_push) { squares += double{d} * double{d}; }
        m_length = std::sqrt(squares);
        if (!(m_length > 0.0) || !std::isfinite(m_length)) {
            fail("direction: expected a finite length above 0, got {}", m_length);
        }
    }

    /// Throws xlens::error unless a model of this size has the layer and the width.
    void check(const model_sizes& model) const;

    void after(const site& where, rows<float> x);

private:
    template <class Direction>
    static std::vector<float> numbers_of(const Direction& direction) {
        if constexpr (xt::is_xexpression<Direction>::value) {
            if (direction.dimension() != 1) {
                fail("direction: expected 1 dimension, got {}", direction.dimension());
            }
        }
        std::vector<float> out;
        for (const auto& x : direction) { out.push_back(static_cast<float>(x)); }
        return out;
    }

    std::size_t m_layer;
    std::vector<float> m_push;  // (D): what is added
    double m_length = 0.0;      // ‖d‖
    position_set m_positions;
};

#if XLENS_DEFINES(interventions)

XLENS_API void steer::check(const model_sizes& model) const {
    if (m_layer >= model.layers) {
        // Shown with its sign: -1 was meant where a caller's -1 has become 2^64 - 1.
        fail("layer: {}, the model has layers 0 to {}", static_cast<std::int64_t>(m_layer),
             model.layers - 1);
    }
    if (m_push.size() != model.width) {
        fail("direction: {} numbers, the model's width is {}", m_push.size(), model.width);
    }
}

XLENS_API void steer::after(const site& where, rows<float> x) {
    if (where.layer != m_layer) { return; }
    for (std::size_t t = 0; t < x.count(); ++t) {
        if (!m_positions.contains(where.first_position + t)) { continue; }
        for (std::size_t d = 0; d < m_push.size(); ++d) { x[t][d] += m_push[d]; }
    }
}

#endif

}  // namespace xlens
