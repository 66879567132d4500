// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/interventions/edit.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>

#include <algorithm>
#include <cmath>
#endif

namespace xlens {

/// Policy that edits coefficients before the sum, or pre-activations before the activation
/// (interventions/edit.hpp), at every position or at some, in prompt and generated text alike.
/// Edits run in the order they were added, those of pre-activations before those of coefficients.
/// O(edits of the layer) a position.
class intervene {
public:
    static constexpr hook hooks = hook::pre_activations | hook::coefficients;
    static constexpr bool rowwise = true;

    intervene() = default;
    explicit intervene(std::vector<edit> edits);

    intervene& set(neuron where, float value) { return add({where, edit::kind::set, value}); }
    intervene& scale(neuron where, float by) { return add({where, edit::kind::scale, by}); }
    intervene& zero(neuron where) { return set(where, 0.0F); }
    intervene& add(edit e);
    /// The same edit of many neurons: a cluster, or what a search found. Throws xlens::error for
    /// none.
    intervene& add(std::span<const neuron> neurons, edit e);
    [[nodiscard]] bool empty() const { return m_edits.empty(); }
    [[nodiscard]] const std::vector<edit>& edits() const { return m_edits; }

    /// Throws xlens::error if an edit names a neuron that a model of this size does not have.
    void check(const model_sizes& model) const;

    [[nodiscard]] bool wants(hook h) const;
    void pre_activations(const site& where, rows<float> g);
    void coefficients(const site& where, rows<float> m);

private:
    void change(edit::site on, const site& where, rows<float> z) const;

    std::vector<edit> m_edits;
};

#if XLENS_DEFINES(interventions)

XLENS_API intervene::intervene(std::vector<edit> edits) {
    for (edit& e : edits) { add(std::move(e)); }
}

XLENS_API intervene& intervene::add(edit e) {
    m_edits.push_back(std::move(e));
    return *this;
}

XLENS_API intervene& intervene::add(std::span<const neuron> neurons, edit e) {
    if (neurons.empty()) { fail("intervene: expected at least 1 neuron to edit, got 0"); }
    for (const neuron& n : neurons) {
        e.where = n;
        add(e);
    }
    return *this;
}

XLENS_API void intervene::check(const model_sizes& model) const {
    for (const edit& e : m_edits) {
        check_neuron(e.where, model.layers, model.inner_width);
        if (std::isnan(e.value) || std::isnan(e.most)) {
            fail("edit of {}: expected a number, got nan", to_string(e.where));
        }
        if (e.how == edit::kind::clamp && !(e.value <= e.most)) {
            fail("clamp of {}: expected most to be at least {}, which is least, got {}",
                 to_string(e.where), e.value, e.most);
        }
    }
}

XLENS_API bool intervene::wants(hook h) const {
    const auto on = h == hook::pre_activations ? edit::site::pre_activation  //
                                               : edit::site::coefficient;
    return std::any_of(m_edits.begin(), m_edits.end(), [on](const edit& e) { return e.on == on; });
}

XLENS_API void intervene::pre_activations(const site& where, rows<float> g) {
    change(edit::site::pre_activation, where, g);
}

XLENS_API void intervene::coefficients(const site& where, rows<float> m) {
    change(edit::site::coefficient, where, m);
}

XLENS_API void intervene::change(edit::site on, const site& where, rows<float> z) const {
    for (const edit& e : m_edits) {
        const std::size_t i = e.where.index;
        if (e.on != on || e.where.layer != where.layer) { continue; }
        for (std::size_t t = 0; t < z.count(); ++t) {
            if (e.positions.contains(where.first_position + t)) { z[t][i] = e(z[t][i]); }
        }
    }
}

#endif

}  // namespace xlens
