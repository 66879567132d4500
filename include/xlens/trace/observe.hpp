// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/nn/dominance.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/core/error.hpp>

#include <algorithm>
#endif

namespace xlens {

namespace detail {
/// Throws xlens::error unless `norms`, ‖v_i‖ by layer, are those of a model of these sizes.
XLENS_API void check_value_norms(std::span<const std::span<const float>> norms,
                                 const model_sizes& model);
}  // namespace detail

/// What one layer did at the observed positions of the last pass.
struct observed_layer {
    xt::xtensor<float, 2> before;                   ///< (P, D)
    xt::xtensor<float, 2> after;                    ///< (P, D)
    std::vector<std::vector<sub_update>> dominant;  ///< P lists, most dominant first
};

/// Policy that records what a trace needs: the residuals before and after each FFN update, and the
/// dominant sub-updates. Each pass starts a new record. It edits nothing: a pass with it gives the
/// bits of one without. Memory O(L·P·(D + k)); the coefficients themselves are not kept.
class observe {
public:
    static constexpr hook hooks = hook::embedding | hook::before | hook::coefficients | hook::after;

    enum class positions { last, all };

    /// Of passes of this model, whose norms ‖v_i‖ it borrows; the first time they are asked for,
    /// that takes a pass over the value matrices.
    template <class Preset, class Weights>
    explicit observe(const transformer<Preset, Weights>& model, std::size_t dominant = 10,
                     positions which = positions::last)
        : observe(model.value_norms(), dominant, which) {}
    /// Refused: it borrows the norms. Keep the model in a variable that outlives it.
    template <class Preset, class Weights>
    explicit observe(const transformer<Preset, Weights>&& model, std::size_t = 10,
                     positions = positions::last) = delete;
    /// `value_norms[l]` = ‖v_i‖ of layer l (transformer::value_norms); borrowed.
    observe(std::vector<std::span<const float>> value_norms, std::size_t dominant,
            positions which = positions::last)
        : m_norms(std::move(value_norms)), m_dominant(dominant), m_which(which) {}

    /// The layers that ran, in order; none before a pass.
    [[nodiscard]] const std::vector<observed_layer>& layers() const { return m_layers; }
    /// What layer l did. Throws xlens::error if it has not run.
    [[nodiscard]] const observed_layer& layer(std::size_t l) const;
    /// Throws xlens::error if the norms are not those of a model of these sizes.
    void check(const model_sizes& model) const { detail::check_value_norms(m_norms, model); }
    /// Position of the first observed row.
    [[nodiscard]] std::size_t first_position() const { return m_first; }

    void embedding(const site& where, rows<float> x);
    void before(const site&, rows<float> x);
    void coefficients(const site& where, rows<float> m);
    void after(const site&, rows<float> x) { m_layers.back().after = observed(x).tensor(); }

private:
    [[nodiscard]] rows<float> observed(rows<float> x) const;
    [[nodiscard]] std::vector<sub_update> dominant_of(std::size_t layer, std::span<const float> m);

    std::vector<std::span<const float>> m_norms;
    std::size_t m_dominant;
    positions m_which;
    std::size_t m_first = 0;
    std::vector<observed_layer> m_layers;
    dominant_neurons m_most_dominant;
};

#if XLENS_DEFINES(trace)

namespace detail {

XLENS_API void check_value_norms(std::span<const std::span<const float>> norms,
                                 const model_sizes& model) {
    const auto fits = [&](std::span<const float> n) { return n.size() == model.inner_width; };
    if (norms.size() != model.layers || !std::ranges::all_of(norms, fits)) {
        fail(
            "observe: value norms of {} layers, the model has {} of {} neurons; take "
            "model.value_norms()",
            norms.size(), model.layers, model.inner_width);
    }
}

}  // namespace detail

XLENS_API const observed_layer& observe::layer(std::size_t l) const {
    if (l >= m_layers.size()) {
        fail("observe: layer {}, {} layers ran in the last pass", l, m_layers.size());
    }
    return m_layers[l];
}

XLENS_API void observe::embedding(const site& where, rows<float> x) {
    m_layers.clear();
    m_first = where.first_position + (m_which == positions::last ? x.count() - 1 : 0);
}

XLENS_API void observe::before(const site&, rows<float> x) {
    m_layers.emplace_back().before = observed(x).tensor();
}

XLENS_API void observe::coefficients(const site& where, rows<float> m) {
    const rows<float> wanted = observed(m);
    for (std::size_t p = 0; p < wanted.count(); ++p) {
        m_layers.back().dominant.push_back(dominant_of(where.layer, wanted[p]));
    }
}

XLENS_API rows<float> observe::observed(rows<float> x) const {
    return m_which == positions::last ? x.subrows(x.count() - 1, 1) : x;
}

XLENS_API std::vector<sub_update> observe::dominant_of(std::size_t layer,
                                                       std::span<const float> m) {
    const std::span<const float> norms = m_norms[layer];
    std::vector<sub_update> out;
    for (const std::size_t i : m_most_dominant(m, norms, m_dominant)) {
        out.push_back(make_sub_update({layer, i}, m[i], norms[i]));
    }
    return out;
}

#endif

}  // namespace xlens
