// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/function_ref.hpp>
#include <xlens/core/lazy.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/any_activation.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/nn/experts.hpp>
#include <xlens/nn/linear.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/nn/sub_updates.hpp>
#include <xlens/nn/value_matrix.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace xlens {

/// Gate of a feed-forward layer: m = act(U·x + b) …
struct ungated {};
/// … or m = act(G·x)·(U·x), GLU variants (Shazeer 2020, 2002.05202) …
struct gated {};
/// … or either, or a mixture of gated experts, as a file says.
struct any_gate {};

namespace detail {
template <class Gate, weight_matrix Weights>
struct gate_weights {  // gated
    static constexpr bool present = true;
    linear<Weights> gate;
};
template <weight_matrix Weights>
struct gate_weights<ungated, Weights> {
    static constexpr bool present = false;
};
template <weight_matrix Weights>
struct gate_weights<any_gate, Weights> {
    bool present = false;
    linear<Weights> gate;
    std::optional<experts<Weights>> mixture;
};
}  // namespace detail

/// A feed-forward layer as a sum of sub-updates (Geva et al. 2022, section 2):
///   FFN(x) = Σ_i m_i·v_i + b,   m = act(U·x + b_u)              ungated
///                               m = act(G·x + b_g)·(U·x + b_u)  gated
/// with coefficients m (F) and value vectors v_i, the columns of the second matrix V (D, F).
/// Where a norm of gain γ or a multiplier r stands behind the sum (`writes_through`), the layer
/// writes r·γ⊙(Σ_i m_i·w_i + b)/ρ, w_i being the stored columns and ρ the root mean square of their
/// sum with b: the value vectors are then v_i = r·γ⊙w_i, and 1/ρ is one number a position, `scale`.
/// A value type: weights are borrowed views, biases and norms its own.
template <class Activation, class Gate, weight_matrix Weights>
class feed_forward {
    using gate_type = detail::gate_weights<Gate, Weights>;
    static constexpr bool may_be_gated = !std::is_same_v<Gate, ungated>;
    static constexpr bool may_be_mixture = std::is_same_v<Gate, any_gate>;

public:
    using activation_type = Activation;
    using weights = Weights;

    feed_forward() = default;
    feed_forward(linear<Weights> up, linear<Weights> values, Activation how = {})
        requires(!std::is_same_v<Gate, gated>)
        : m_activation(how), m_up(std::move(up)), m_values(std::move(values)) {}
    feed_forward(linear<Weights> gating, linear<Weights> up, linear<Weights> values,
                 Activation how = {})
        requires may_be_gated
        : m_activation(how), m_up(std::move(up)), m_values(std::move(values)) {
        m_gate.gate = std::move(gating);
        if constexpr (std::is_same_v<Gate, any_gate>) { m_gate.present = true; }
    }

    /// A mixture of experts, whose neurons are numbered through.
    feed_forward(experts<Weights> mixture, Activation how)
        requires may_be_mixture
        : m_activation(how) {
        m_gate.mixture = std::move(mixture);
        m_gate.present = true;
    }

    [[nodiscard]] bool is_gated() const { return m_gate.present; }
    /// The experts, or null in a layer that is none of them.
    [[nodiscard]] const experts<Weights>* mixture() const {
        if constexpr (may_be_mixture) {
            return m_gate.mixture ? &*m_gate.mixture : nullptr;
        } else {
            return nullptr;
        }
    }
    [[nodiscard]] const Activation& activation() const { return m_activation; }
    [[nodiscard]] std::size_t width() const {  ///< D
        return mixture() == nullptr ? m_values.weight.rows()
                                    : mixture()->all.front().values.weight.rows();
    }
    [[nodiscard]] std::size_t inner_width() const {  ///< F
        return mixture() == nullptr ? m_values.weight.cols() : mixture()->inner_width();
    }

    /// m (T, F) of inputs x (T, D), which are residuals after the layer's norm.
    void coefficients(rows<const float> x, rows<float> m) const {
        if (mixture() != nullptr) { return coefficients_of_experts(x, m, nullptr); }
        const rows<float> up = up_rows(x.count());
        project(x, m, up, [&](std::size_t first, std::size_t count) {
            for (std::size_t t = 0; t < x.count(); ++t) { activate(m, up, t, first, count); }
        });
    }
    /// The same, and edit(g) sees and may change the pre-activations g (T, F) in between: U·x +
    /// b_u, or in a gated layer the gate's G·x + b_g. An edit that changes nothing changes no bit.
    void coefficients(rows<const float> x, rows<float> m,
                      function_ref<void(rows<float>)> edit) const {
        if (mixture() != nullptr) { return coefficients_of_experts(x, m, &edit); }
        const rows<float> up = up_rows(x.count());
        project(x, m, up, [](std::size_t, std::size_t) {});
        edit(m);
        parallel_for(x.count(), 16 * inner_width(),
                     [&](std::size_t t) { activate(m, up, t, 0, inner_width()); });
    }
    /// m (F) of one input x (D).
    [[nodiscard]] xt::xtensor<float, 1> coefficients(std::span<const float> x) const {
        xt::xtensor<float, 1> m = xt::empty<float>({inner_width()});
        coefficients(as_rows(x), as_rows(std::span<float>(m.data(), m.size())));
        return m;
    }

    /// Σ_i m_i·v_i, without the output bias. m (T, F) -> out (T, D). The layer's second half.
    /// Of the stored columns w_i where the layer writes through a norm or a multiplier.
    void sum(rows<const float> m, rows<float> out) const {
        if (mixture() != nullptr) { return mixture()->sum(m, out); }
        kernels::matmul(m_values.weight, m, out);
    }
    /// What is written to the residual, of sums (T, D), in place: the output bias, and the norm and
    /// the multiplier where there are such.
    void finish(rows<float> out) const {
        m_values.add_bias(out);
        if (m_post_norm) { (*m_post_norm)(out, out); }
        if (m_multiplier != 1.0F) {
            parallel_for(out.count(), out.width(), [&](std::size_t t) {
                for (float& v : out[t]) { v *= m_multiplier; }
            });
        }
    }

    /// Lets an RMS norm (none: absent), then a multiplier r, stand between the sum and the
    /// residual. Throws xlens::error for a norm of another width.
    void writes_through(std::optional<rms_norm> post_norm, float multiplier) {
        if (post_norm && post_norm->gain.size() != width()) {
            fail("ffn: post_norm: {} numbers, the layer's width is {}", post_norm->gain.size(),
                 width());
        }
        m_post_norm = std::move(post_norm);
        m_multiplier = multiplier;
        m_gain = {};
        if (!m_post_norm && multiplier == 1.0F) { return; }
        m_gain = xt::empty<float>({width()});
        for (std::size_t d = 0; d < width(); ++d) {
            m_gain(d) = multiplier * (m_post_norm ? m_post_norm->gain(d) : 1.0F);
        }
    }
    [[nodiscard]] const std::optional<rms_norm>& post_norm() const { return m_post_norm; }
    [[nodiscard]] float multiplier() const { return m_multiplier; }

    /// 1/ρ (T) of coefficients m (T, F): the layer writes scale·(Σ_i m_i·v_i + r·γ⊙b). 1 where no
    /// norm stands behind the sum; else it costs the sum.
    void scale(rows<const float> m, std::span<float> out) const {
        std::fill(out.begin(), out.end(), 1.0F);
        if (!m_post_norm) { return; }
        xt::xtensor<float, 2> sums = xt::empty<float>({m.count(), width()});
        sum(m, sums);
        m_values.add_bias(rows<float>(sums));
        for (std::size_t t = 0; t < m.count(); ++t) {
            const std::span<const float> x = rows<const float>(sums)[t];
            double squares = 0.0;
            for (const float v : x) { squares += double{v} * double{v}; }
            out[t] = static_cast<float>(1.0 / std::sqrt(squares / static_cast<double>(width()) +
                                                        double{m_post_norm->epsilon}));
        }
    }

    /// FFN(x) (D) of one input x (D): what is written to the residual.
    [[nodiscard]] xt::xtensor<float, 1> operator()(std::span<const float> x) const {
        const xt::xtensor<float, 1> m = coefficients(x);
        xt::xtensor<float, 1> out = xt::empty<float>({width()});
        const rows<float> out_row(out.data(), 1, out.size());
        sum({m.data(), 1, m.size()}, out_row);
        finish(out_row);
        return out;
    }

    /// The layer's sub-updates for input x (D) as a lazy (F, D) expression; borrows this and x.
    [[nodiscard]] xlens::sub_updates<feed_forward> sub_updates(std::span<const float> x) const& {
        return {*this, x};
    }
    [[nodiscard]] xlens::sub_updates<feed_forward> sub_updates(
        const xt::xtensor<float, 1>& x) const& {
        return {*this, {x.data(), x.size()}};
    }
    /// Refused: the expression reads x when it is evaluated, and a temporary x would be gone by
    /// then. Give the input a name that outlives the expression.
    template <class X>
        requires(!std::is_lvalue_reference_v<X> && !std::ranges::borrowed_range<X>)
    xlens::sub_updates<feed_forward> sub_updates(X&& x) const& = delete;
    /// Refused: the expression borrows the layer, and a temporary layer would be gone by then.
    /// Keep the feed_forward in a variable that outlives the expression.
    template <class X>
    xlens::sub_updates<feed_forward> sub_updates(X&& x) const&& = delete;

    /// v_i (D) into out, decoded. Throws xlens::error for a neuron that is not
    /// there, and for an out of another width.
    void value(std::size_t i, std::span<float> out) const { values().column(i, out); }
    /// All value vectors; borrows the layer.
    [[nodiscard]] value_matrix<Weights> values() const {
        return {parts(m_values, &experts<Weights>::expert::values), {m_gain.data(), m_gain.size()}};
    }
    [[nodiscard]] const xt::xtensor<float, 1>& output_bias() const { return m_values.bias; }
    /// U (F, D): row i is the key k_i, or u_i of a gated layer; (F_e, D) an expert, or one matrix.
    [[nodiscard]] std::vector<Weights> up() const {
        return parts(m_up, &experts<Weights>::expert::up);
    }
    /// G alike, where is_gated().
    [[nodiscard]] std::vector<Weights> gating() const
        requires may_be_gated
    {
        return parts(m_gate.gate, &experts<Weights>::expert::gate);
    }

    /// The layers that it is made of: U, V, and G where is_gated().
    [[nodiscard]] const linear<Weights>& up_layer() const { return m_up; }
    [[nodiscard]] const linear<Weights>& value_layer() const { return m_values; }
    [[nodiscard]] const linear<Weights>& gate_layer() const
        requires may_be_gated
    {
        return m_gate.gate;
    }

    /// ‖v_i‖ of every value vector (F). Computed on the first call (one pass over V), then kept.
    [[nodiscard]] const xt::xtensor<float, 1>& value_norms() const {
        return m_norms.get([this] {
            xt::xtensor<float, 1> norms = xt::empty<float>({inner_width()});
            values().norms({norms.data(), norms.size()});
            return norms;
        });
    }

private:
    using expert_linear = linear<Weights> experts<Weights>::expert::*;

    /// One matrix, or that of each expert.
    [[nodiscard]] std::vector<Weights> parts(const linear<Weights>& one, expert_linear of) const {
        if (mixture() == nullptr) { return {one.weight}; }
        std::vector<Weights> out;
        for (const auto& e : mixture()->all) { out.push_back((e.*of).weight); }
        return out;
    }
    void coefficients_of_experts(rows<const float> x, rows<float> m,
                                 const function_ref<void(rows<float>)>* edit) const {
        if constexpr (may_be_mixture) {
            const rows<float> up = up_rows(x.count());
            const xt::xtensor<float, 2> p = mixture()->weights(x);
            mixture()->project(x, p, m, up);
            if (edit != nullptr) { (*edit)(m); }
            mixture()->activate(m_activation, p, m, up);
        }
    }
    /// Where a gated layer keeps U·x; empty in others.
    [[nodiscard]] rows<float> up_rows(std::size_t count) const {
        if (!is_gated()) { return {}; }
        struct tag;
        return {kernels::scratch<tag>(count * inner_width()), count, inner_width()};
    }
    /// The pre-activations into m, and in a gated layer U·x + b_u into up; then(first, count)
    /// follows each tile of columns while it is in the cache.
    void project(rows<const float> x, rows<float> m, rows<float> up,
                 function_ref<void(std::size_t, std::size_t)> then) const {
        if constexpr (may_be_gated) {
            if (is_gated()) { return project_gated(x, m, up, then); }
        }
        std::array products{m_up.product(x, m)};
        kernels::run_together(products, [&](std::size_t first, std::size_t count) {
            m_up.add_bias(m, first, count);
            then(first, count);
        });
    }
    void project_gated(rows<const float> x, rows<float> m, rows<float> up,
                       function_ref<void(std::size_t, std::size_t)> then) const
        requires may_be_gated
    {
        std::array products{m_gate.gate.product(x, m), m_up.product(x, up)};
        kernels::run_together(products, [&](std::size_t first, std::size_t count) {
            m_gate.gate.add_bias(m, first, count);
            m_up.add_bias(up, first, count);
            then(first, count);
        });
    }
    void activate(rows<float> m, rows<float> up, std::size_t t, std::size_t first,
                  std::size_t count) const {
        const std::span<float> row = m[t].subspan(first, count);
        if (is_gated()) {
            kernels::activate_gated(m_activation, row, up[t].subspan(first, count));
        } else {
            kernels::activate(m_activation, row);
        }
    }

    [[no_unique_address]] Activation m_activation;
    [[no_unique_address]] gate_type m_gate;
    linear<Weights> m_up;
    linear<Weights> m_values;
    std::optional<rms_norm> m_post_norm;
    float m_multiplier = 1.0F;
    xt::xtensor<float, 1> m_gain;  // r·γ (D), or empty: 1
    lazy<xt::xtensor<float, 1>> m_norms;
};

}  // namespace xlens
