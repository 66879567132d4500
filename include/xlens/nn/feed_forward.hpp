// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/function_ref.hpp>
#include <xlens/core/lazy.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/activation.hpp>
#include <xlens/kernels/column_norms.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/nn/linear.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <array>
#include <cstddef>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>

namespace xlens {

template <class FeedForward>
class sub_updates;

/// Gate of a feed-forward layer: m = act(U·x + b) …
struct none {};
/// … or m = act(G·x)·(U·x), GLU variants (Shazeer 2020, 2002.05202).
struct gated {};

namespace detail {
template <class Gate, weight_matrix Weights>
struct gate_weights {
    linear<Weights> gate;
};
template <weight_matrix Weights>
struct gate_weights<none, Weights> {};
}  // namespace detail

/// A feed-forward layer as a sum of sub-updates (Geva et al. 2022, section 2):
///   FFN(x) = Σ_i m_i·v_i + b,   m = act(U·x + b_u)           Gate = none
///                               m = act(G·x + b_g)·(U·x + b_u)  Gate = gated
/// with coefficients m (F) and value vectors v_i, the columns of the second matrix V (D, F).
/// A value type: weights are borrowed views, biases and norms its own.
template <class Activation, class Gate, weight_matrix Weights>
class feed_forward : detail::gate_weights<Gate, Weights> {
public:
    using activation = Activation;
    using weights = Weights;
    static constexpr bool is_gated = std::is_same_v<Gate, gated>;

    feed_forward() = default;
    feed_forward(linear<Weights> up, linear<Weights> values)
        requires(!is_gated)
        : m_up(std::move(up)), m_values(std::move(values)) {}
    feed_forward(linear<Weights> gating, linear<Weights> up, linear<Weights> values)
        requires is_gated
        : detail::gate_weights<Gate, Weights>{std::move(gating)},
          m_up(std::move(up)),
          m_values(std::move(values)) {}

    [[nodiscard]] std::size_t width() const { return m_values.weight.rows(); }        ///< D
    [[nodiscard]] std::size_t inner_width() const { return m_values.weight.cols(); }  ///< F

    /// m (T, F) of inputs x (T, D), which are residuals after the layer's norm.
    void coefficients(rows<const float> x, rows<float> m) const {
        const rows<float> up = up_rows(x.count());
        project(x, m, up, [&](std::size_t first, std::size_t count) {
            for (std::size_t t = 0; t < x.count(); ++t) { activate(m, up, t, first, count); }
        });
    }
    /// The same, and edit(g) sees and may change the pre-activations g (T, F) in between: U·x +
    /// b_u, or in a gated layer the gate's G·x + b_g. An edit that changes nothing changes no bit.
    void coefficients(rows<const float> x, rows<float> m,
                      function_ref<void(rows<float>)> edit) const {
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
    void sum(rows<const float> m, rows<float> out) const {
        kernels::matmul(m_values.weight, m, out);
    }
    void add_output_bias(rows<float> out) const { m_values.add_bias(out); }

    /// FFN(x) (D) of one input x (D).
    [[nodiscard]] xt::xtensor<float, 1> operator()(std::span<const float> x) const {
        const xt::xtensor<float, 1> m = coefficients(x);
        xt::xtensor<float, 1> out = xt::empty<float>({width()});
        const rows<float> out_row(out.data(), 1, out.size());
        sum({m.data(), 1, m.size()}, out_row);
        add_output_bias(out_row);
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

    /// v_i (D) into out: column i of V, decoded.
    void value(std::size_t i, std::span<float> out) const { m_values.weight.column(i, out); }
    [[nodiscard]] const Weights& values() const { return m_values.weight; }
    [[nodiscard]] const xt::xtensor<float, 1>& output_bias() const { return m_values.bias; }
    /// U (F, D): row i is the key k_i, or u_i of a gated layer.
    [[nodiscard]] const Weights& up() const { return m_up.weight; }
    /// G (F, D) of a gated layer.
    [[nodiscard]] const Weights& gating() const
        requires is_gated
    {
        return this->gate.weight;
    }

    /// ‖v_i‖ of every value vector (F). Computed on the first call (one pass over V), then kept.
    [[nodiscard]] const xt::xtensor<float, 1>& value_norms() const {
        return m_norms.get([this] {
            xt::xtensor<float, 1> norms = xt::empty<float>({inner_width()});
            kernels::column_norms(m_values.weight, {norms.data(), norms.size()});
            return norms;
        });
    }

private:
    /// Where a gated layer keeps U·x; empty in others.
    [[nodiscard]] rows<float> up_rows(std::size_t count) const {
        if constexpr (is_gated) {
            struct tag;
            const std::size_t width = inner_width();
            return {kernels::scratch<tag>(count * width), count, width};
        } else {
            return {};
        }
    }
    /// The pre-activations into m, and in a gated layer U·x + b_u into up; then(first, count)
    /// follows each tile of columns while it is in the cache.
    void project(rows<const float> x, rows<float> m, [[maybe_unused]] rows<float> up,
                 function_ref<void(std::size_t, std::size_t)> then) const {
        if constexpr (is_gated) {
            std::array products{this->gate.product(x, m), m_up.product(x, up)};
            kernels::run_together(products, [&](std::size_t first, std::size_t count) {
                this->gate.add_bias(m, first, count);
                m_up.add_bias(up, first, count);
                then(first, count);
            });
        } else {
            std::array products{m_up.product(x, m)};
            kernels::run_together(products, [&](std::size_t first, std::size_t count) {
                m_up.add_bias(m, first, count);
                then(first, count);
            });
        }
    }
    static void activate(rows<float> m, [[maybe_unused]] rows<float> up, std::size_t t,
                         std::size_t first, std::size_t count) {
        if constexpr (is_gated) {
            kernels::activate_gated<Activation>(m[t].subspan(first, count),
                                                up[t].subspan(first, count));
        } else {
            kernels::activate<Activation>(m[t].subspan(first, count));
        }
    }

    linear<Weights> m_up;
    linear<Weights> m_values;
    lazy<xt::xtensor<float, 1>> m_norms;
};

}  // namespace xlens

#include <xlens/nn/sub_updates.hpp>
