// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <span>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/kernels/finite.hpp>

#include <algorithm>
#endif

namespace xlens {

/// Policy that puts other residuals in the place of a model's own, at layers and positions: with
/// those of another prompt (trace/residual.hpp) it is activation patching (Vig et al. 2020,
/// 2004.12265; Meng et al. 2022, 2202.05262).
///
///     patch other;
///     other.at(hook::after, 12, 4, residual(model, corrupted, hook::after, 12, 4));
///     model.forward(state, tokens, other);
class patch {
public:
    static constexpr hook hooks = hook::before | hook::after;
    static constexpr bool rowwise = true;

    /// At a position, x (D) in the place of the residual before or after the FFN update of a layer.
    /// Said twice for one place, the last counts. Throws xlens::error for another hook than
    /// hook::before and hook::after, and for an x that is not finite.
    patch& at(hook where, std::size_t layer, std::size_t position, std::span<const float> x);

    /// Throws xlens::error unless a model of this size has the layers and the width.
    void check(const model_sizes& model) const;

    void before(const site& where, rows<float> x) const { put(hook::before, where, x); }
    void after(const site& where, rows<float> x) const { put(hook::after, where, x); }

private:
    struct place {
        hook where = hook::none;
        std::size_t layer = 0;
        std::size_t position = 0;
        std::vector<float> x;
    };

    void put(hook here, const site& where, rows<float> x) const;

    std::vector<place> m_places;
};

#if XLENS_DEFINES(interventions)

XLENS_API patch& patch::at(hook where, std::size_t layer, std::size_t position,
                           std::span<const float> x) {
    if (where != hook::before && where != hook::after) {
        fail("patch: expected hook::before or hook::after");
    }
    if (const std::size_t d = kernels::first_not_finite(x); d < x.size()) {
        fail("patch: number {} of the residual is {}, expected a finite number", d, x[d]);
    }
    m_places.push_back({where, layer, position, {x.begin(), x.end()}});
    return *this;
}

XLENS_API void patch::check(const model_sizes& model) const {
    for (const place& p : m_places) {
        if (p.layer >= model.layers) {
            fail("patch: layer {}, the model has layers 0 to {}", p.layer, model.layers - 1);
        }
        if (p.x.size() != model.width) {
            fail("patch: a residual of {} numbers, the model's width is {}", p.x.size(),
                 model.width);
        }
    }
}

XLENS_API void patch::put(hook here, const site& where, rows<float> x) const {
    for (const place& p : m_places) {
        if (p.where != here || p.layer != where.layer || p.position < where.first_position ||
            p.position - where.first_position >= x.count()) {
            continue;
        }
        std::ranges::copy(p.x, x[p.position - where.first_position].begin());
    }
}

#endif

}  // namespace xlens
