// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/policy/policy.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace xlens {

/// One change of one coefficient m_i (Geva et al. 2022, section 6.1).
struct edit {
    enum class kind { set, scale };

    neuron where;
    kind how = kind::set;
    float value = 0.0F;  ///< set: m_i := value; scale: m_i := value·m_i
    std::optional<std::vector<std::size_t>> positions;  ///< sorted; none: every position
};

/// Policy that edits coefficients before the sum, at every position or at some, in prompt and
/// generated text alike. Edits run in the order they were added.
class intervene {
public:
    static constexpr hook hooks = hook::coefficients;

    intervene() = default;
    explicit intervene(std::vector<edit> edits) : m_edits(std::move(edits)) {}

    intervene& set(neuron where, float value) { return add({where, edit::kind::set, value, {}}); }
    intervene& scale(neuron where, float by) { return add({where, edit::kind::scale, by, {}}); }
    intervene& zero(neuron where) { return set(where, 0.0F); }
    intervene& add(edit e) {
        if (e.positions) { std::sort(e.positions->begin(), e.positions->end()); }
        m_edits.push_back(std::move(e));
        return *this;
    }
    [[nodiscard]] bool empty() const { return m_edits.empty(); }

    /// Throws xlens::error if an edit names a neuron that a model of this size does not have.
    void check(std::size_t layers, std::size_t inner_width) const {
        for (const edit& e : m_edits) { check_neuron(e.where, layers, inner_width); }
    }

    void coefficients(const site& where, rows<float> m) {
        for (const edit& e : m_edits) {
            if (e.where.layer != where.layer || e.where.index >= m.width()) { continue; }
            for (std::size_t t = 0; t < m.count(); ++t) {
                if (applies(e, where.first_position + t)) { change(e, m[t][e.where.index]); }
            }
        }
    }

private:
    static bool applies(const edit& e, std::size_t position) {
        return !e.positions ||
               std::binary_search(e.positions->begin(), e.positions->end(), position);
    }
    static void change(const edit& e, float& m) {
        m = e.how == edit::kind::set ? e.value : e.value * m;
    }

    std::vector<edit> m_edits;
};

}  // namespace xlens
