// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/add.hpp>
#include <xlens/kernels/any_activation.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/softmax.hpp>
#include <xlens/nn/linear.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/rows_at.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace xlens {

/// The gated FFN of a mixture of experts (Shazeer et al. 2017, 1701.06538; Mixtral, 2401.04088) as
/// one layer of neurons, expert by expert: of expert e, chosen with the weight p_e(x),
///   m_i = p_e·act(g_i·x)·(u_i·x),   0 where the expert is not chosen,
/// so that the output is Σ_i m_i·v_i over all of them. Only chosen experts are computed. p is the
/// softmax of the router's scores, of which the `used` largest count, divided by their sum if
/// `renormalised`. A shared expert, the last, is always chosen, with the weight σ(⟨s, x⟩).
///
/// Where the experts' second matrices have biases b_e (gpt-oss), Σ_e p_e·b_e is written as well: N
/// neurons more, behind all others, with m = p_e and v = b_e. They have no keys: g and u are 0.
template <weight_matrix Weights>
struct experts {
    struct expert {
        linear<Weights> gate;    ///< (F_e, D)
        linear<Weights> up;      ///< (F_e, D)
        linear<Weights> values;  ///< (D, F_e)

        [[nodiscard]] std::size_t width() const { return values.weight.cols(); }  ///< F_e
    };
    std::vector<expert> all;                     ///< the shared one last, then the biases
    linear<Weights> router;                      ///< (N, D), N without the shared one
    std::optional<linear<Weights>> shared_gate;  ///< s (1, D); none: no expert is shared
    std::size_t used = 0;                        ///< experts a position has, the shared one apart
    bool renormalised = false;
    bool biased = false;                              ///< the last of `all` are the biases, (D, N)
    std::shared_ptr<const std::vector<float>> owned;  ///< what no file holds of them

    /// F: neurons of all experts.
    [[nodiscard]] std::size_t inner_width() const {
        std::size_t sum = 0;
        for (const expert& e : all) { sum += e.width(); }
        return sum;
    }

    /// p (T, experts) of inputs x (T, D); 0: not chosen.
    [[nodiscard]] xt::xtensor<float, 2> weights(rows<const float> x) const {
        const std::size_t count = router.weight.rows();
        xt::xtensor<float, 2> scores = xt::empty<float>({x.count(), count});
        router(x, scores);
        xt::xtensor<float, 2> out = xt::zeros<float>({x.count(), all.size()});
        for (std::size_t t = 0; t < x.count(); ++t) {
            kernels::softmax(rows<float>(scores)[t]);
            choose(rows<const float>(scores)[t], rows<float>(out)[t]);
        }
        if (shared_gate) {
            xt::xtensor<float, 2> score = xt::empty<float>({x.count(), std::size_t{1}});
            (*shared_gate)(x, score);
            for (std::size_t t = 0; t < x.count(); ++t) {
                out(t, count) = 1.0F / (1.0F + std::exp(-score(t, 0)));
            }
        }
        for (std::size_t t = 0; biased && t < x.count(); ++t) { out(t, all.size() - 1) = 1.0F; }
        return out;
    }

    /// The pre-activations g_i·x into m, u_i·x into up (T, F) each; 0 of experts that p leaves out.
    void project(rows<const float> x, const xt::xtensor<float, 2>& p, rows<float> m,
                 rows<float> up) const {
        for (std::size_t t = 0; t < x.count(); ++t) {
            std::ranges::fill(m[t], 0.0F);
            std::ranges::fill(up[t], 0.0F);
        }
        each([&](std::size_t e, std::size_t first) {
            if (is_bias(e)) { return; }
            const std::vector<std::size_t> chosen =
                those(x.count(), [&](std::size_t t) { return p(t, e) != 0.0F; });
            if (chosen.empty()) { return; }
            const xt::xtensor<float, 2> in = rows_at(x, chosen);
            scatter(all[e].gate, in, chosen, m.columns(first, all[e].width()));
            scatter(all[e].up, in, chosen, up.columns(first, all[e].width()));
        });
    }
    /// m_i := p_e·act(m_i)·up_i of chosen experts, 0 of others.
    void activate(const any_activation& how, const xt::xtensor<float, 2>& p, rows<float> m,
                  rows<const float> up) const {
        each([&](std::size_t e, std::size_t first) {
            for (std::size_t t = 0; t < m.count(); ++t) {
                const std::span<float> row = m[t].subspan(first, all[e].width());
                if (is_bias(e)) {
                    for (std::size_t i = 0; i < row.size(); ++i) { row[i] = p(t, i); }
                    continue;
                }
                if (p(t, e) == 0.0F) {
                    std::ranges::fill(row, 0.0F);
                    continue;
                }
                kernels::activate_gated(how, row, up[t].subspan(first, all[e].width()));
                for (float& v : row) { v *= p(t, e); }
            }
        });
    }
    /// out (T, D) = Σ_i m_i·w_i, expert by expert; those whose m are all 0 are left out.
    void sum(rows<const float> m, rows<float> out) const {
        if (m.width() != inner_width() || m.count() != out.count()) {
            fail("experts: coefficients ({}, {}), expected ({}, {})", m.count(), m.width(),
                 out.count(), inner_width());
        }
        for (std::size_t t = 0; t < out.count(); ++t) { std::ranges::fill(out[t], 0.0F); }
        each([&](std::size_t e, std::size_t first) {
            const rows<const float> own = m.columns(first, all[e].width());
            const std::vector<std::size_t> chosen = those(m.count(), [&](std::size_t t) {
                return std::ranges::any_of(own[t], [](float v) { return v != 0.0F; });
            });
            if (chosen.empty()) { return; }
            xt::xtensor<float, 2> part = xt::empty<float>({chosen.size(), out.width()});
            const xt::xtensor<float, 2> in = rows_at(own, chosen);
            kernels::matmul(all[e].values.weight, in, part);
            for (std::size_t n = 0; n < chosen.size(); ++n) {
                kernels::add_scaled(1.0F, rows<const float>(part)[n], out[chosen[n]]);
            }
        });
    }

private:
    [[nodiscard]] bool is_bias(std::size_t e) const { return biased && e + 1 == all.size(); }
    /// Calls fn(expert, its first neuron).
    template <class Fn>
    void each(Fn fn) const {
        std::size_t first = 0;
        for (std::size_t e = 0; e < all.size(); ++e) {
            fn(e, first);
            first += all[e].width();
        }
    }
    template <class Chosen>
    static std::vector<std::size_t> those(std::size_t count, Chosen chosen) {
        std::vector<std::size_t> out;
        for (std::size_t t = 0; t < count; ++t) {
            if (chosen(t)) { out.push_back(t); }
        }
        return out;
    }
    static void scatter(const linear<Weights>& by, const xt::xtensor<float, 2>& in,
                        std::span<const std::size_t> to, rows<float> out) {
        xt::xtensor<float, 2> part = xt::empty<float>({to.size(), out.width()});
        by(in, part);
        for (std::size_t n = 0; n < to.size(); ++n) {
            std::ranges::copy(rows<const float>(part)[n], out[to[n]].begin());
        }
    }
    /// The `used` largest of a row of probabilities (N), of equals the lower, into out.
    void choose(std::span<const float> probabilities, std::span<float> out) const {
        std::vector<std::size_t> order(probabilities.size());
        for (std::size_t e = 0; e < order.size(); ++e) { order[e] = e; }
        const auto end = order.begin() + static_cast<std::ptrdiff_t>(used);
        std::partial_sort(order.begin(), end, order.end(), [&](std::size_t a, std::size_t b) {
            return probabilities[a] != probabilities[b] ? probabilities[a] > probabilities[b]
                                                        : a < b;
        });
        float sum = 0.0F;
        for (auto e = order.begin(); e != end; ++e) { sum += probabilities[*e]; }
        for (auto e = order.begin(); e != end; ++e) {
            out[*e] = renormalised ? probabilities[*e] / sum : probabilities[*e];
        }
    }
};

}  // namespace xlens
