// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/trace/observe.hpp>

#include <cstddef>
#include <vector>

#if XLENS_DEFINES(trace)
#include <algorithm>
#endif

namespace xlens {

/// What one layer added to the residual at the observed positions of the last pass.
struct observed_update {
    xt::xtensor<float, 2> attention;     ///< (P, D): the attention's output, its bias included
    xt::xtensor<float, 2> coefficients;  ///< (P, F): m, of the FFN update Σ_i m_i·v_i + b
    xt::xtensor<float, 2> head_outputs;  ///< (P, H·d): of its heads, where they are asked for
};

/// Policy that records the parts that a residual is the sum of: embedding, every attention output,
/// every coefficient; and that residual and its logits. Each pass starts a new record. It edits
/// nothing: a pass with it gives the bits of one without. What policies before it in the pack
/// change is recorded changed. Memory O(P·(L·(D + F) + V)), P = 1 or the positions of a pass; of
/// heads L·P·H·d more.
class observe_updates {
public:
    static constexpr hook hooks = hook::embedding | hook::head_outputs | hook::attention_out |
                                  hook::coefficients | hook::after | hook::logits;

    /// `heads`: whether to record the outputs of heads too.
    explicit observe_updates(observe::positions which = observe::positions::last,
                             bool heads = false)
        : m_which(which), m_heads(heads) {}

    /// Position of the first observed row, and how many there are.
    [[nodiscard]] std::size_t first_position() const { return m_first; }
    [[nodiscard]] std::size_t count() const { return m_embedding.shape(0); }

    /// (P, D): what enters layer 0, learned positions included.
    [[nodiscard]] rows<const float> embedding() const { return m_embedding; }
    /// The layers that ran, in order.
    [[nodiscard]] const std::vector<observed_update>& layers() const { return m_layers; }
    /// (P, D): what leaves the last layer that ran.
    [[nodiscard]] rows<const float> residual() const { return m_residual; }
    /// (P, V), or no rows where the pass did not compute the logits of all observed positions.
    [[nodiscard]] rows<const float> logits() const { return m_logits; }

    void embedding(const site& where, rows<float> x);
    void head_outputs(const site&, rows<float> z);
    void attention_out(const site&, rows<float> x);
    void coefficients(const site&, rows<float> m);
    void after(const site&, rows<float> x) { m_residual = observed(x).tensor(); }
    void logits(const site&, rows<float> z);

private:
    [[nodiscard]] rows<float> observed(rows<float> x) const;

    observe::positions m_which;
    bool m_heads;
    std::size_t m_first = 0;
    xt::xtensor<float, 2> m_embedding;
    std::vector<observed_update> m_layers;
    xt::xtensor<float, 2> m_residual;
    xt::xtensor<float, 2> m_logits;
};

#if XLENS_DEFINES(trace)

XLENS_API void observe_updates::embedding(const site& where, rows<float> x) {
    m_layers.clear();
    m_logits.resize({0, 0});
    m_first = where.first_position + (m_which == observe::positions::last ? x.count() - 1 : 0);
    m_embedding = observed(x).tensor();
}

XLENS_API void observe_updates::head_outputs(const site&, rows<float> z) {
    m_layers.emplace_back();
    if (m_heads) { m_layers.back().head_outputs = observed(z).tensor(); }
}

XLENS_API void observe_updates::attention_out(const site&, rows<float> x) {
    m_layers.back().attention = observed(x).tensor();
}

XLENS_API void observe_updates::coefficients(const site&, rows<float> m) {
    m_layers.back().coefficients = observed(m).tensor();
}

XLENS_API void observe_updates::logits(const site&, rows<float> z) {
    if (z.count() >= count()) { m_logits = observed(z).tensor(); }
}

XLENS_API rows<float> observe_updates::observed(rows<float> x) const {
    return m_which == observe::positions::last ? x.subrows(x.count() - 1, 1) : x;
}

#endif

}  // namespace xlens
