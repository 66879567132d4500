// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/sae/sae_site.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>

namespace xlens {

/// Policy that keeps what an autoencoder reads, of the positions of a pass. It edits nothing.
class observe_place {
public:
    static constexpr hook hooks =
        hook::embedding | hook::attention_out | hook::before | hook::after;

    explicit observe_place(const sae_place& place) : m_place(place) {}

    void embedding(const site&, rows<float> x);
    void attention_out(const site& where, rows<float> x);
    void before(const site& where, rows<float> x);
    void after(const site& where, rows<float> x);

    /// (T, D)
    [[nodiscard]] rows<const float> kept() const { return m_kept; }
    [[nodiscard]] std::size_t first_position() const { return m_first; }

private:
    [[nodiscard]] bool at(const site& where, sae_site site) const {
        return m_place.site == site && m_place.layer == where.layer;
    }
    void keep(const site& where, rows<float> x);

    sae_place m_place;
    std::size_t m_first = 0;
    xt::xtensor<float, 2> m_kept;
};

#if XLENS_DEFINES(sae)

XLENS_API void observe_place::keep(const site& where, rows<float> x) {
    m_kept = x.tensor();
    m_first = where.first_position;
}

XLENS_API void observe_place::embedding(const site& where, rows<float> x) {
    if (m_place.site == sae_site::entering && m_place.layer == 0) { keep(where, x); }
}

XLENS_API void observe_place::attention_out(const site& where, rows<float> x) {
    if (at(where, sae_site::attention_out)) { keep(where, x); }
}

XLENS_API void observe_place::before(const site& where, rows<float> x) {
    if (at(where, sae_site::before) || at(where, sae_site::ffn_out)) { keep(where, x); }
}

XLENS_API void observe_place::after(const site& where, rows<float> x) {
    const bool enters_next = m_place.site == sae_site::entering && m_place.layer == where.layer + 1;
    if (at(where, sae_site::after) || enters_next) { keep(where, x); }
    if (at(where, sae_site::ffn_out)) { m_kept = x.tensor() - m_kept; }
}

#endif

}  // namespace xlens
