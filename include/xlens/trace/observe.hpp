// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/nn/dominance.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace xlens {

/// A sub-update as it was seen in a pass.
struct observed_sub_update {
    std::size_t index = 0;     ///< the neuron's, in its layer
    float coefficient = 0.0F;  ///< m_i, after the edits of policies that stand before this one
    float norm = 0.0F;         ///< ‖v_i‖
    float dominance = 0.0F;    ///< |m_i|·‖v_i‖
};

/// What one layer did at the observed positions of the last pass.
struct observed_layer {
    xt::xtensor<float, 2> before;                            ///< (P, D)
    xt::xtensor<float, 2> after;                             ///< (P, D)
    std::vector<std::vector<observed_sub_update>> dominant;  ///< P lists, most dominant first
};

/// Policy that records what a trace needs: the residuals before and after each FFN update, and the
/// dominant sub-updates. Each pass starts a new record. It edits nothing: a pass with it gives the
/// bits of one without. Memory O(L·P·(D + k)); the coefficients themselves are not kept.
class observe {
public:
    static constexpr hook hooks = hook::embedding | hook::before | hook::coefficients | hook::after;

    enum class positions { last, all };

    /// `value_norms[l]` = ‖v_i‖ of layer l (transformer::value_norms); borrowed.
    observe(std::vector<std::span<const float>> value_norms, std::size_t dominant,
            positions which = positions::last)
        : m_norms(std::move(value_norms)), m_dominant(dominant), m_which(which) {}

    /// The layers that ran, in order; none before a pass.
    [[nodiscard]] const std::vector<observed_layer>& layers() const { return m_layers; }
    /// What layer l did. Throws xlens::error if it has not run.
    [[nodiscard]] const observed_layer& layer(std::size_t l) const {
        if (l >= m_layers.size()) {
            fail("observe: layer {}, {} layers ran in the last pass", l, m_layers.size());
        }
        return m_layers[l];
    }
    /// Throws xlens::error if the norms are not those of a model of these sizes.
    void check(const model_sizes& model) const {
        if (m_norms.size() != model.layers || m_norms.front().size() != model.inner_width) {
            fail(
                "observe: value norms of {} layers, the model has {} of {} neurons; take "
                "model.value_norms()",
                m_norms.size(), model.layers, model.inner_width);
        }
    }
    /// Position of the first observed row.
    [[nodiscard]] std::size_t first_position() const { return m_first; }

    void embedding(const site& where, rows<float> x) {
        m_layers.clear();
        m_first = where.first_position + (m_which == positions::last ? x.count() - 1 : 0);
    }
    void before(const site&, rows<float> x) {
        m_layers.emplace_back().before = observed(x).tensor();
    }
    void coefficients(const site& where, rows<float> m) {
        const rows<float> wanted = observed(m);
        for (std::size_t p = 0; p < wanted.count(); ++p) {
            m_layers.back().dominant.push_back(dominant_of(wanted[p], m_norms[where.layer]));
        }
    }
    void after(const site&, rows<float> x) { m_layers.back().after = observed(x).tensor(); }

private:
    [[nodiscard]] rows<float> observed(rows<float> x) const {
        return m_which == positions::last ? x.subrows(x.count() - 1, 1) : x;
    }
    [[nodiscard]] std::vector<observed_sub_update> dominant_of(std::span<const float> m,
                                                               std::span<const float> norms) {
        std::vector<observed_sub_update> out;
        for (const std::size_t i : m_most_dominant(m, norms, m_dominant)) {
            out.push_back({i, m[i], norms[i], dominance_of(m[i], norms[i])});
        }
        return out;
    }

    std::vector<std::span<const float>> m_norms;
    std::size_t m_dominant;
    positions m_which;
    std::size_t m_first = 0;
    std::vector<observed_layer> m_layers;
    dominant_neurons m_most_dominant;
};

}  // namespace xlens
