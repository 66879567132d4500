// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/interventions/positions.hpp>
#include <xlens/sae/sae_site.hpp>
#include <xlens/sae/sparse_autoencoder.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/trace/keep_sites.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/core/layer.hpp>

#include <cmath>
#endif

namespace xlens {

/// Policy that pushes a feature of a sparse autoencoder where that reads:
///   x ← x + a·d_i
/// with the direction as it is, so that `a` is in the units of activations: as if the feature were
/// more active by a.
class steer_feature {
public:
    static constexpr hook hooks =
        hook::embedding | hook::attention_out | hook::before | hook::ffn_out | hook::after;
    static constexpr bool rowwise = true;

    /// Copies what it needs. Throws xlens::error for a feature that there is not, and where a·d_i
    /// is not finite.
    steer_feature(const sparse_autoencoder& sae, std::size_t feature, float a,
                  position_set positions = {});

    /// Throws xlens::error unless a model of this size has the layer and the width.
    void check(const model_sizes& model) const;

    void embedding(const site& where, rows<float> x) const { push(hook::embedding, where, x); }
    void attention_out(const site& where, rows<float> x) const {
        push(hook::attention_out, where, x);
    }
    void before(const site& where, rows<float> x) const { push(hook::before, where, x); }
    void ffn_out(const site& where, rows<float> x) const { push(hook::ffn_out, where, x); }
    void after(const site& where, rows<float> x) const { push(hook::after, where, x); }

private:
    void push(hook here, const site& where, rows<float> x) const;

    std::size_t m_layer;  // of the autoencoder
    layer_site m_place;
    std::vector<float> m_push;  // (D)
    position_set m_positions;
    std::string m_name;
};

#if XLENS_DEFINES(interventions)

XLENS_API steer_feature::steer_feature(const sparse_autoencoder& sae, std::size_t feature, float a,
                                       position_set positions)
    : m_layer(sae.facts().place.layer),
      m_place(layer_site_of(sae.facts().place)),
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
    check_layer(m_name, m_layer, model.layers);
}

XLENS_API void steer_feature::push(hook here, const site& where, rows<float> x) const {
    if (m_place != layer_site{here, where.layer}) { return; }
    for (std::size_t t = 0; t < x.count(); ++t) {
        if (!m_positions.contains(where.first_position + t)) { continue; }
        for (std::size_t d = 0; d < m_push.size(); ++d) { x[t][d] += m_push[d]; }
    }
}

#endif

}  // namespace xlens
