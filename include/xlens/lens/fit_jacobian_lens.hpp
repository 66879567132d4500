// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/lens/linear_lens.hpp>
#include <xlens/model/transformer.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#if XLENS_DEFINES(lens)
#include <xlens/core/error.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/model/resume.hpp>
#include <xlens/model/state.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/numerics/random_draws.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#endif

namespace xlens {

struct jacobian_lens_options {
    std::vector<std::size_t> layers =
        {};                    ///< of which there are to be maps; empty: all but the last
    std::size_t skipped = 16;  ///< first positions of a prompt that no derivative is about
    /// Columns of each map that a prompt is asked for, drawn in turn so that all get as many
    /// prompts, give or take one; 0: all of them.
    std::size_t columns = 0;
    /// Length of the longest step, as a share of the residuals' (the median of the prompt's).
    double step = 0.005;
    std::uint64_t seed = 0;           ///< of the order of the columns
    progress_function progress = {};  ///< counts columns
};

/// A Jacobian lens: the mean derivative of the final residual with respect to that after layer l,
///   J_l = mean over prompts of 1/|V| Σ_{t∈V} Σ_{t'∈V, t'≥t} ∂h_last,t' / ∂h_l,t
/// where V leaves out the first `skipped` positions of a prompt, and its last. Without automatic
/// differentiation: what comes later does not change what comes before, so that one step of all
/// positions of V along axis i at once, up and down, gives column i:
///   J_l·e_i ≈ 1/|V| Σ_{t'∈V} (h_last,t'(h_l + ε·e_i) - h_last,t'(h_l - ε·e_i)) / 2ε
/// Two passes over the layers after l a column: 2·columns·|V| positions a prompt and layer; keys
/// and values of the first positions are computed once. The error is of order ε² and of f32's
/// rounding over ε (tests/lens/fit_jacobian_lens.cpp measures it). What the step bends,
///   r = ‖h_last(+) + h_last(-) - 2·h_last‖ / ‖h_last(+) - h_last(-)‖,
/// is half of ε over the length L on which the function bends (h'/h''), and the error ε²/(6·L²)
/// some 2·r²/3: a column whose r is more than 0.02 is taken again with half the step, as long as
/// that makes r less. (Residuals of Gemma 3 have a few numbers that are a thousand times the
/// others, for which a share of their length is far too long a step.)
/// Throws xlens::error for prompts that leave no position, where too few prompts are asked for too
/// few columns to see each, where a column bends whatever the step; and for a model that rounds,
/// whose steps are noise (precision::native, a cache of f16 or q8_0), or has mixtures of experts,
/// whose choice jumps.
XLENS_API linear_lens fit_jacobian_lens(const transformer<>& model,
                                        std::span<const std::vector<token_id>> prompts,
                                        const jacobian_lens_options& options = {});

#if XLENS_DEFINES(lens)

namespace detail {

/// Keeps what every layer leaves.
class keep_after {
public:
    static constexpr hook hooks = hook::after;
    void after(const site& where, rows<float> x) {
        if (m_layers.size() <= where.layer) { m_layers.resize(where.layer + 1); }
        m_layers[where.layer] = x.tensor();
    }
    [[nodiscard]] const xt::xtensor<float, 2>& layer(std::size_t l) const { return m_layers[l]; }

private:
    std::vector<xt::xtensor<float, 2>> m_layers;
};

/// The median length of rows.
inline double median_length(rows<const float> x) {
    std::vector<double> lengths;
    for (std::size_t t = 0; t < x.count(); ++t) {
        double squares = 0.0;
        for (const float v : x[t]) { squares += double{v} * double{v}; }
        lengths.push_back(std::sqrt(squares));
    }
    const auto middle = lengths.begin() + static_cast<std::ptrdiff_t>(lengths.size() / 2);
    std::ranges::nth_element(lengths, middle);
    return *middle;
}

/// Columns of one prompt, layer by layer. The state has read the positions that are left out.
class prompt_derivatives {
public:
    prompt_derivatives(const transformer<>& model, std::span<const token_id> prompt,
                       const jacobian_lens_options& options)
        : m_model(&model),
          m_state(model.start()),
          m_skipped(options.skipped),
          m_step(options.step) {
        m_state.wanted = logit_rows::none;
        m_tokens = prompt.subspan(m_skipped, prompt.size() - m_skipped - 1);
        if (m_skipped > 0) { model.forward(m_state, prompt.first(m_skipped)); }
        model.forward(m_state, m_tokens, m_kept);
    }

    /// to += J_l·e_i of this prompt.
    void add_column(std::size_t layer, std::size_t i, std::span<double> to) {
        if (m_layer != layer || m_length == 0.0) {
            m_layer = layer;
            check_residual(m_kept.layer(layer), layer, m_skipped);
            m_length = m_step * median_length(m_kept.layer(layer));
            if (!(m_length > 0.0)) { fail("layer {}: residuals of length 0", layer); }
        }
        difference best = differ(i, m_length);
        double length = m_length;
        for (int halvings = 0; best.bend > little && halvings < most_halvings; ++halvings) {
            length /= 2.0;
            difference next = differ(i, length);
            if (!(next.bend < best.bend)) { break; }
            best = std::move(next);
        }
        if (!(best.bend < much)) {
            fail(
                "jacobian lens: layer {}, axis {}: no derivative: steps up and down differ by {} "
                "of themselves",
                layer, i, best.bend);
        }
        for (std::size_t d = 0; d < to.size(); ++d) { to[d] += best.column[d]; }
    }

private:
    static constexpr double little = 0.02;
    static constexpr double much = 0.1;
    static constexpr int most_halvings = 12;

    /// A column by one step up and one down, and its r.
    struct difference {
        std::vector<double> column;
        double bend = 0.0;
    };
    [[nodiscard]] difference differ(std::size_t i, double length) {
        const xt::xtensor<float, 2> up = moved(i, static_cast<float>(length));
        const xt::xtensor<float, 2> down = moved(i, static_cast<float>(-length));
        const xt::xtensor<float, 2>& still = m_kept.layer(m_model->config.layers - 1);
        const std::size_t width = up.shape(1);
        difference out{std::vector<double>(width, 0.0)};
        double first = 0.0;
        double second = 0.0;
        for (std::size_t t = 0; t < up.shape(0); ++t) {
            for (std::size_t d = 0; d < width; ++d) {
                const double a = double{up(t, d)} - double{still(t, d)};
                const double b = double{still(t, d)} - double{down(t, d)};
                out.column[d] += a + b;
                first += (a + b) * (a + b);
                second += (a - b) * (a - b);
            }
        }
        const double by = 2.0 * length * static_cast<double>(up.shape(0));
        for (double& v : out.column) { v /= by; }
        out.bend = std::sqrt(second / first);
        return out;
    }
    /// What the last layer leaves where all positions go a step along axis i.
    [[nodiscard]] xt::xtensor<float, 2> moved(std::size_t i, float step) {
        xt::xtensor<float, 2> x = m_kept.layer(m_layer);
        for (std::size_t t = 0; t < x.shape(0); ++t) { x(t, i) += step; }
        m_state.truncate(m_skipped);
        resume(*m_model, m_state, m_tokens, m_layer + 1, x);
        check_residual(m_state.residual, m_model->config.layers - 1, m_skipped);
        return m_state.residual;
    }

    const transformer<>* m_model;
    sequence_state m_state;
    std::size_t m_skipped;
    double m_step;
    std::span<const token_id> m_tokens;
    keep_after m_kept;
    std::size_t m_layer = 0;
    double m_length = 0.0;
};

inline void check_jacobian(const transformer<>& model,
                           std::span<const std::vector<token_id>> prompts,
                           const jacobian_lens_options& options, std::size_t columns) {
    const std::size_t layers = model.config.layers;
    if (model.cache != format_id::f32) {
        fail("jacobian lens: expected a cache of f32, got {}", format_name(model.cache));
    }
    for (const auto& b : model.blocks) {
        if (b.ffn.mixture() != nullptr) {
            fail(
                "jacobian lens: mixtures of experts are not supported: their choice has no "
                "derivative");
        }
        for (const any_matrix* w : {&b.attention.query.weight, &b.attention.output.weight,
                                    &b.ffn.up_layer().weight, &b.ffn.value_layer().weight}) {
            if (w->computed_in() != precision::f32) {
                fail("jacobian lens: expected the precision f32, got native");
            }
        }
    }
    for (const std::size_t l : options.layers) {
        if (l + 1 >= layers) {
            fail("jacobian lens: layer {}, expected one below {}", l, layers - 1);
        }
    }
    if (!(options.step > 0.0 && options.step < 1.0)) {
        fail("jacobian lens: step: expected between 0 and 1, got {}", options.step);
    }
    for (const auto& p : prompts) {
        if (p.size() < options.skipped + 2) {
            fail("jacobian lens: a prompt of {} tokens, expected at least {}", p.size(),
                 options.skipped + 2);
        }
    }
    const std::size_t width = model.config.width;
    if (prompts.size() * columns < width) {
        fail("jacobian lens: {} prompts of {} columns each, expected at least {} columns in all",
             prompts.size(), columns, width);
    }
}

}  // namespace detail

XLENS_API linear_lens fit_jacobian_lens(const transformer<>& model,
                                        std::span<const std::vector<token_id>> prompts,
                                        const jacobian_lens_options& options) {
    const std::size_t width = model.config.width;
    const std::size_t columns = options.columns == 0 ? width : std::min(options.columns, width);
    detail::check_jacobian(model, prompts, options, columns);
    std::vector<std::size_t> layers = options.layers;
    if (layers.empty()) {
        layers.resize(model.config.layers - 1);
        std::iota(layers.begin(), layers.end(), std::size_t{0});
    }
    // An order of the columns, the same for all layers; prompts take from it in turn.
    std::vector<std::size_t> order(width);
    std::iota(order.begin(), order.end(), std::size_t{0});
    random_draws draws(options.seed);
    for (std::size_t i = width; i > 1; --i) { std::swap(order[i - 1], order[draws.below(i)]); }

    std::vector<xt::xtensor<double, 2>> sums(layers.size(),
                                             xt::zeros<double>({width, width}));  // (column, D)
    std::vector<std::size_t> counts(width, 0);
    std::size_t done = 0;
    for (std::size_t p = 0; p < prompts.size(); ++p) {
        detail::prompt_derivatives derivatives(model, prompts[p], options);
        for (std::size_t k = 0; k < layers.size(); ++k) {
            for (std::size_t j = 0; j < columns; ++j) {
                const std::size_t i = order[(p * columns + j) % width];
                derivatives.add_column(layers[k], i, {&sums[k](i, 0), width});
                counts[i] += k == 0 ? 1 : 0;
                options.progress(++done, prompts.size() * layers.size() * columns);
            }
        }
    }
    linear_lens out;
    for (std::size_t k = 0; k < layers.size(); ++k) {
        translator t{xt::empty<float>({width, width}), xt::empty<float>({std::size_t{0}}),
                     translation::of_raw};
        for (std::size_t i = 0; i < width; ++i) {
            for (std::size_t d = 0; d < width; ++d) {
                t.weights(d, i) =
                    static_cast<float>(sums[k](i, d) / static_cast<double>(counts[i]));
            }
        }
        out.set(layers[k], std::move(t));
    }
    return out;
}

#endif

}  // namespace xlens
