// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/interventions/direction_set.hpp>
#include <xlens/interventions/positions.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <map>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/core/layer.hpp>

#include <cmath>
#endif

namespace xlens {

/// Policy that pushes the residual along the directions of a set, each at its layer and with the
/// length that it has:
///   x ← x + a·d_L
/// before or after the FFN update, as the set says: what llama.cpp does with a control vector.
class steer_directions {
public:
    static constexpr hook hooks = hook::before | hook::after;
    static constexpr bool rowwise = true;

    /// Those of some layers; of none: of all that the set has. Throws xlens::error for a layer that
    /// it does not have, an `a` that is not finite, and where a·d is not.
    steer_directions(const direction_set& set, float a, std::span<const std::size_t> layers = {},
                     position_set positions = {});

    /// Throws xlens::error unless a model of this size has the layers and the width.
    void check(const model_sizes& model) const;

    void before(const site& where, rows<float> x) const { push(hook::before, where, x); }
    void after(const site& where, rows<float> x) const { push(hook::after, where, x); }

private:
    void push(hook here, const site& where, rows<float> x) const;

    hook m_site;
    std::map<std::size_t, std::vector<float>> m_push;  // by layer
    position_set m_positions;
};

#if XLENS_DEFINES(interventions)

XLENS_API steer_directions::steer_directions(const direction_set& set, float a,
                                             std::span<const std::size_t> layers,
                                             position_set positions)
    : m_site(set.site), m_positions(std::move(positions)) {
    if (!std::isfinite(a)) { fail("directions: strength: expected a finite number, got {}", a); }
    for (const std::size_t l : layers) {
        if (!set.of.contains(l)) { fail("directions: none of layer {}", l); }
        m_push.emplace(l, set.of.at(l));
    }
    if (layers.empty()) { m_push = set.of; }
    for (auto& [layer, d] : m_push) {
        for (float& x : d) {
            x *= a;
            if (!std::isfinite(x)) {
                fail("directions: {} times that of layer {} is not finite", a, layer);
            }
        }
    }
}

XLENS_API void steer_directions::check(const model_sizes& model) const {
    for (const auto& [layer, d] : m_push) {
        check_layer("directions", layer, model.layers);
        if (d.size() != model.width) {
            fail("directions: width {}, the model has {}", d.size(), model.width);
        }
    }
}

XLENS_API void steer_directions::push(hook here, const site& where, rows<float> x) const {
    const auto found = m_push.find(where.layer);
    if (here != m_site || found == m_push.end()) { return; }
    for (std::size_t t = 0; t < x.count(); ++t) {
        if (!m_positions.contains(where.first_position + t)) { continue; }
        for (std::size_t d = 0; d < x.width(); ++d) { x[t][d] += found->second[d]; }
    }
}

#endif

}  // namespace xlens
