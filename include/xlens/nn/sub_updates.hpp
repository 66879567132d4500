// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/lazy.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/nn/dominance.hpp>
#include <xlens/nn/row_stepper.hpp>
#include <xlens/nn/selection.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <functional>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

namespace xlens {
template <class FeedForward>
class sub_updates;
}

template <class FeedForward>
struct xt::xiterable_inner_types<xlens::sub_updates<FeedForward>> {
    using inner_shape_type = std::array<std::size_t, 2>;
    using const_stepper = xlens::detail::row_stepper<xlens::sub_updates<FeedForward>>;
    using stepper = const_stepper;
};
template <class FeedForward>
struct xt::xcontainer_inner_types<xlens::sub_updates<FeedForward>> {
    using reference = float;
    using const_reference = float;
    using size_type = std::size_t;
};

namespace xlens {

/// What promote() needs of an unembedding: the direction e_w (D) of a token.
template <class U>
concept token_directions =
    requires(const U& u, token_id token, std::span<float> out) { u.direction(token, out); };

/// The sub-updates of a feed-forward layer for one input: a lazy xtensor expression whose row r is
/// m_i·v_i, i = neuron(r) (Geva et al. 2022, section 2). Shape (F, D), or (rows, D) of a selection.
///
/// Nothing is computed or allocated before it is asked for: the coefficients on the first look at
/// an element or a coefficient (O(F·D), then kept), an element by decoding its weight block, and
/// sum() by the layer's own fast path. Selections and edits return a new expression, which takes
/// the coefficients along if they are known, and are run on its first look, in the order written:
///
///     auto e = ffn.sub_updates(x);
///     e.sum();                                   // ffn(x) without the output bias, bit for bit
///     e.set(17, 0.0F).dominant(10);              // the 10 largest |m_i|·‖v_i‖ once m_17 is 0
///     xt::xtensor<float, 2> rows = e.top(3);     // materialises 3 rows
///
/// It borrows the layer and x: both must outlive it. Safe to read from several threads.
template <class FeedForward>
class sub_updates : public xt::xsharable_expression<sub_updates<FeedForward>>,
                    public xt::xconst_iterable<sub_updates<FeedForward>>,
                    public xt::xconst_accessible<sub_updates<FeedForward>> {
public:
    using self_type = sub_updates;
    using iterable_base = xt::xconst_iterable<self_type>;
    using accessible_base = xt::xconst_accessible<self_type>;
    using expression_tag = xt::xtensor_expression_tag;
    using value_type = float;
    using reference = float;
    using const_reference = float;
    using pointer = const float*;
    using const_pointer = const float*;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using inner_shape_type = typename iterable_base::inner_shape_type;
    using shape_type = inner_shape_type;
    using stepper = typename iterable_base::stepper;
    using const_stepper = typename iterable_base::const_stepper;
    using bool_load_type = xt::bool_load_type<float>;
    using temporary_type = xt::xtensor<float, 2>;
    static constexpr xt::layout_type static_layout = xt::layout_type::dynamic;
    static constexpr bool contiguous_layout = false;

    sub_updates(const FeedForward& layer, std::span<const float> x)
        : m_layer(&layer), m_x(x), m_full_shape{layer.inner_width(), layer.width()} {}

    // --- the sum and its parts -----------------------------------------------------------------

    /// Σ_r m_i·v_i (D) over the rows, through the product that the layer itself uses: for an
    /// expression without selection or edit, FFN(x) minus the output bias, bit for bit; times
    /// `scale` where a norm stands behind the sum.
    [[nodiscard]] xt::xtensor<float, 1> sum() const {
        const xt::xtensor<float, 1> m = scattered();
        xt::xtensor<float, 1> out = xt::empty<float>({m_layer->width()});
        m_layer->sum({m.data(), 1, m.size()}, {out.data(), 1, out.size()});
        const std::span<const float> gain = m_layer->values().gain();
        for (std::size_t d = 0; d < gain.size(); ++d) { out(d) *= gain[d]; }
        return out;
    }
    /// 1/ρ of the layer at x, selections and edits apart: the layer adds scale·m_i·v_i to the
    /// residual. 1 in a layer without a norm behind the sum, else it costs the sum.
    [[nodiscard]] float scale() const {
        const auto& m = m_coefficients.get([this] { return m_layer->coefficients(m_x); });
        float out = 1.0F;
        m_layer->scale({m.data(), 1, m.size()}, {&out, 1});
        return out;
    }
    /// scale·m_i·⟨e_w, v_i⟩ of every row: how much each sub-update adds to token w's score in the
    /// unembedding's terms. One pass over the value matrix: Vᵀ·e_w.
    template <token_directions Unembedding>
    [[nodiscard]] xt::xtensor<float, 1> promote(const Unembedding& unembedding,
                                                token_id token) const {
        xt::xtensor<float, 1> direction = xt::empty<float>({m_layer->width()});
        unembedding.direction(token, {direction.data(), direction.size()});
        xt::xtensor<float, 1> scores = xt::empty<float>({m_layer->inner_width()});
        m_layer->values().products({direction.data(), 1, direction.size()},
                                   {scores.data(), 1, scores.size()});
        const float common = scale();
        const detail::selection& s = selected();
        xt::xtensor<float, 1> out = xt::empty<float>({s.neurons.size()});
        for (std::size_t r = 0; r < out.size(); ++r) {
            out(r) = common * s.coefficients[r] * scores(s.neurons[r]);
        }
        return out;
    }

    /// Which neuron row r is, and its coefficient m_i.
    [[nodiscard]] std::size_t neuron(std::size_t r) const {
        check_row(r);
        return selected().neurons[r];
    }
    [[nodiscard]] float coefficient(std::size_t r) const {
        check_row(r);
        return selected().coefficients[r];
    }
    /// |m_i|·‖v_i‖ of row r.
    [[nodiscard]] float dominance(std::size_t r) const {
        return dominance_of(coefficient(r), m_layer->value_norms()(neuron(r)));
    }
    [[nodiscard]] const FeedForward& layer() const { return *m_layer; }

    // --- selections: fewer rows ----------------------------------------------------------------

    /// The k rows with the largest signed m_i·‖v_i‖, largest first.
    [[nodiscard]] sub_updates top(std::size_t k) const {
        return selecting([k](const FeedForward& f, detail::selection& s) {
            const auto& norms = f.value_norms();
            s.keep_largest(k, [&](std::size_t i, float m) { return m * norms(i); });
        });
    }
    /// The k dominant rows: largest |m_i|·‖v_i‖ first.
    [[nodiscard]] sub_updates dominant(std::size_t k) const {
        return selecting([k](const FeedForward& f, detail::selection& s) {
            const auto& norms = f.value_norms();
            s.keep_largest(k, [&](std::size_t i, float m) { return dominance_of(m, norms(i)); });
        });
    }
    /// The rows for which predicate(i, m_i) holds.
    template <std::predicate<std::size_t, float> Predicate>
    [[nodiscard]] sub_updates where(Predicate predicate) const {
        return selecting([predicate = std::move(predicate)](
                             const FeedForward&, detail::selection& s) { s.keep_if(predicate); });
    }
    /// All rows but those of these neurons.
    [[nodiscard]] sub_updates without(std::vector<std::size_t> neurons) const {
        for (const std::size_t i : neurons) { check_neuron(i); }
        std::sort(neurons.begin(), neurons.end());
        return where([neurons = std::move(neurons)](std::size_t i, float) {
            return !std::binary_search(neurons.begin(), neurons.end(), i);
        });
    }

    // --- edits: other coefficients -------------------------------------------------------------

    /// m_i := m.
    [[nodiscard]] sub_updates set(std::size_t i, float m) const {
        return editing(i, [m](float) { return m; });
    }
    /// m_i := a·m_i.
    [[nodiscard]] sub_updates scale(std::size_t i, float a) const {
        return editing(i, [a](float m) { return a * m; });
    }

    // --- the xtensor expression ----------------------------------------------------------------

    [[nodiscard]] const inner_shape_type& shape() const {
        return m_selects ? selected().shape : m_full_shape;
    }
    using accessible_base::shape;
    [[nodiscard]] xt::layout_type layout() const noexcept { return static_layout; }
    [[nodiscard]] bool is_contiguous() const noexcept { return false; }

    /// Element (r, d) = m_i·V(d, i). Costs the decoding of one weight block. Throws xlens::error
    /// for a row or a column that is not there; of one row alone, xtensor broadcasts: any r is it.
    template <class... Args>
    const_reference operator()(Args... args) const {
        const std::array<std::size_t, sizeof...(Args)> index{static_cast<std::size_t>(args)...};
        return element(index.begin(), index.end());
    }
    template <class It>
    const_reference element(It first, It last) const {
        // xtensor's rule: missing leading indices are 0, surplus leading ones are dropped.
        const auto count = last - first;
        const std::size_t d = count > 0 ? static_cast<std::size_t>(*(last - 1)) : 0;
        const std::size_t r =
            count > 1 && shape()[0] != 1 ? static_cast<std::size_t>(*(last - 2)) : 0;
        check_row(r);
        if (d >= m_layer->width()) { fail("sub_updates: column {} of {}", d, m_layer->width()); }
        return unchecked(r, d);
    }
    const_reference unchecked(std::size_t r, std::size_t d) const {
        const detail::selection& s = selected();
        return s.coefficients[r] * m_layer->values()(d, s.neurons[r]);
    }
    /// Element i of the rows laid out one after the other.
    [[nodiscard]] const_reference flat(std::size_t i) const {
        const std::size_t width = m_layer->width();
        check_row(i / width);
        return unchecked(i / width, i % width);
    }
    template <class S>
    bool broadcast_shape(S& shape, bool = false) const {
        return xt::broadcast_shape(this->shape(), shape);
    }
    template <class S>
    bool has_linear_assign(const S&) const noexcept {
        return false;
    }
    template <class S>
    const_stepper stepper_begin(const S& shape) const {
        return const_stepper(this, shape.size() - 2);
    }
    template <class S>
    const_stepper stepper_end(const S& shape, xt::layout_type layout) const {
        return const_stepper(this, shape.size() - 2, layout);
    }
    /// Materialises into a container row by row, decoding each value vector once; xtensor calls
    /// this for `xt::xtensor<float, 2> t = e`.
    template <class E>
        requires requires(E& e, inner_shape_type s) { e.resize(s); }
    void assign_to(xt::xexpression<E>& out) const {
        E& target = out.derived_cast();
        target.resize(shape());
        const detail::selection& s = selected();
        std::vector<float> value(m_layer->width());
        for (std::size_t r = 0; r < s.neurons.size(); ++r) {
            m_layer->value(s.neurons[r], value);
            for (std::size_t d = 0; d < value.size(); ++d) {
                target(r, d) = s.coefficients[r] * value[d];
            }
        }
    }

private:
    using step = std::function<void(const FeedForward&, detail::selection&)>;

    [[nodiscard]] const detail::selection& selected() const {
        return m_selection.get([this] {
            detail::selection s(m_coefficients.get([this] { return m_layer->coefficients(m_x); }));
            for (const step& run : m_steps) { run(*m_layer, s); }
            s.shape = {s.neurons.size(), m_layer->width()};
            return s;
        });
    }
    // The coefficients in the layer's own order, 0 where a neuron is not among the rows.
    [[nodiscard]] xt::xtensor<float, 1> scattered() const {
        const detail::selection& s = selected();
        xt::xtensor<float, 1> m = xt::zeros<float>({m_layer->inner_width()});
        for (std::size_t r = 0; r < s.neurons.size(); ++r) { m(s.neurons[r]) = s.coefficients[r]; }
        return m;
    }
    [[nodiscard]] sub_updates with(step next, bool selects) const {
        sub_updates out(*m_layer, m_x);
        out.m_coefficients = m_coefficients;  // if they are known already
        out.m_steps = m_steps;
        out.m_steps.push_back(std::move(next));
        out.m_selects = m_selects || selects;
        return out;
    }
    [[nodiscard]] sub_updates selecting(step next) const { return with(std::move(next), true); }
    template <class Edit>
    [[nodiscard]] sub_updates editing(std::size_t i, Edit edit) const {
        check_neuron(i);
        return with([i, edit](const FeedForward&, detail::selection& s) { s.edit(i, edit); },
                    false);
    }
    void check_row(std::size_t r) const {
        const std::size_t count = selected().neurons.size();
        if (r >= count) { fail("sub_updates: row {} of {}", r, count); }
    }
    void check_neuron(std::size_t i) const {
        if (i >= m_layer->inner_width()) {
            fail("sub_updates: neuron {} of a layer with {}", i, m_layer->inner_width());
        }
    }

    const FeedForward* m_layer;
    std::span<const float> m_x;
    inner_shape_type m_full_shape;
    std::vector<step> m_steps;
    bool m_selects = false;
    lazy<xt::xtensor<float, 1>> m_coefficients;
    lazy<detail::selection> m_selection;
};

}  // namespace xlens

namespace xlens::detail {
/// The rows in memory. Its type depends on the layer's, so that xt::sort is looked for where it is
/// called: this header need not include it.
template <class FeedForward>
auto materialised(const sub_updates<FeedForward>& e) {
    return typename sub_updates<FeedForward>::temporary_type(e);
}
}  // namespace xlens::detail

namespace xt {
// xtensor's own can sort what lies in memory alone. They need xtensor's header of sorting.
template <class FeedForward>
auto sort(const xlens::sub_updates<FeedForward>& e, std::ptrdiff_t axis = -1) {
    return sort(xlens::detail::materialised(e), axis);
}
template <class FeedForward>
auto argsort(const xlens::sub_updates<FeedForward>& e, std::ptrdiff_t axis = -1) {
    return argsort(xlens::detail::materialised(e), axis);
}
}  // namespace xt
