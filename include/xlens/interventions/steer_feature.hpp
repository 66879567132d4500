// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/interventions/positions.hpp>
#include <xlens/sae/sae_site.hpp>
#include <xlens/sae/sparse_autoencoder.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>

#include <cmath>
#endif

namespace xlens {

/// Policy that pushes a feature of a sparse autoencoder where that reads:
///   x ← x + a·d_i
/// with the direction as it is, so that `a` is in the units of activations: as if the feature were
/// more active by a. To what attention or FFN adds, this is the same as to the residual behind it.
class steer_feature {
public:
    static constexpr hook hooks = hook::embedding | hook::before | hook::after;
    static constexpr bool rowwise = true;

    /// Copies what it needs. Throws xlens::error for a feature that there is not, and where a·d_i
    /// is not finite.
    steer_feature(const sparse_autoencoder& sae, std::size_t feature, float a,
                  position_set positions = {});

    /// Throws xlens::error unless a model of this size has the layer and the width.
    void check(const model_sizes& model) const;

    void embedding(const site& where, rows<float> x);
    void before(const site& where, rows<float> x);
    void after(const site& where, rows<float> x);

private:
    void push(const site& where, rows<float> x) const;

    sae_place m_place;
    std::vector<float> m_push;  // (D)
    position_set m_positions;
    std::string m_name;
};

#if XLENS_DEFINES(interventions)

XLENS_API steer_feature::steer_feature(const sparse_autoencoder& sae, std::size_t feature, float a,
                                       position_set positions)
    : m_place(sae.facts().place),
      m_push(sae.width()),
      m_positions(std::move(positions)),
      m_name(sae.facts().name) {
    sae.direction(feature, m_push);
    for (float& d : m_push) {
        d *= a;
        if (!std::isfinite(d)) {
            fail("{}: feature {}: {} times its direction is not finite", m_name, feature, a);
        }
    }
}

XLENS_API void steer_feature::check(const model_sizes& model) const {
    if (m_push.size() != model.width) {
        fail("{}: width {}, the model has {}", m_name, m_push.size(), model.width);
    }
    if (m_place.layer >= model.layers) {
        fail("{}: layer {}, the model has layers 0 to {}", m_name, m_place.layer, model.layers - 1);
    }
}

XLENS_API void steer_feature::push(const site& where, rows<float> x) const {
    for (std::size_t t = 0; t < x.count(); ++t) {
        if (!m_positions.contains(where.first_position + t)) { continue; }
        for (std::size_t d = 0; d < m_push.size(); ++d) { x[t][d] += m_push[d]; }
    }
}

XLENS_API void steer_feature::embedding(const site& where, rows<float> x) {
    if (m_place.site == sae_site::entering && m_place.layer == 0) { push(where, x); }
}

XLENS_API void steer_feature::before(const site& where, rows<float> x) {
    const bool here = m_place.site == sae_site::before || m_place.site == sae_site::attention_out;
    if (here && where.layer == m_place.layer) { push(where, x); }
}

XLENS_API void steer_feature::after(const site& where, rows<float> x) {
    const bool here = m_place.site == sae_site::after || m_place.site == sae_site::ffn_out;
    const bool enters_next = m_place.site == sae_site::entering && m_place.layer == where.layer + 1;
    if ((here && where.layer == m_place.layer) || enters_next) { push(where, x); }
}

#endif

}  // namespace xlens
