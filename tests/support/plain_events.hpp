// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/model/state.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

namespace xlens::test {

/// Events of one window in plain loops, from the definitions of the paper: full logits of every
/// residual, full sorts, scores in double.
class plain_events {
public:
    struct summary {
        double mean = 0.0;
        double max = 0.0;
        double min = 0.0;
    };
    struct update {
        token_id before = 0;
        token_id after = 0;
    };

    plain_events(const transformer<>& model, std::span<const token_id> tokens) : m_model(&model) {
        sequence_state state = model.start();
        model.forward(state, tokens, m_seen);
        for (std::size_t l = 0; l < model.config.layers; ++l) {
            m_before.push_back(logits(m_seen.before_of[l]));
            m_after.push_back(logits(m_seen.after_of[l]));
        }
        m_mean.assign(model.config.width, 0.0);
        for (std::size_t w = 0; w < model.config.vocabulary; ++w) {
            const auto e = direction(static_cast<token_id>(w));
            for (std::size_t d = 0; d < e.size(); ++d) {
                m_mean[d] += e[d] / static_cast<double>(model.config.vocabulary);
            }
        }
    }

    [[nodiscard]] update tops(std::size_t l, std::size_t t) const {
        return {top(m_before[l], t), top(m_after[l], t)};
    }
    /// log p(w) before and after.
    [[nodiscard]] double log_before(std::size_t l, std::size_t t, token_id w) const {
        return log_p(m_before[l], t, w);
    }
    [[nodiscard]] double log_after(std::size_t l, std::size_t t, token_id w) const {
        return log_p(m_after[l], t, w);
    }

    [[nodiscard]] std::vector<double> dominances(std::size_t l, std::size_t t) const {
        std::vector<double> out;
        for (std::size_t i = 0; i < m_model->config.inner_width; ++i) {
            double squares = 0.0;
            for (const double x : value(l, i)) { squares += x * x; }
            out.push_back(std::abs(coefficient(l, t, i)) * std::sqrt(squares));
        }
        return out;
    }
    [[nodiscard]] std::vector<std::size_t> dominant(std::size_t l, std::size_t t,
                                                    std::size_t k) const {
        const std::vector<double> all = dominances(l, t);
        std::vector<std::size_t> order(all.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::stable_sort(order.begin(), order.end(),
                         [&](std::size_t a, std::size_t b) { return all[a] > all[b]; });
        order.resize(k);
        return order;
    }

    /// m_i·⟨e, v_i⟩ over some neurons; e is e_w or e_w - ē, times the gain or not.
    [[nodiscard]] summary scores(std::size_t l, std::size_t t, token_id w,
                                 std::span<const std::size_t> neurons, bool folded,
                                 bool centred) const {
        summary out{0.0, -INFINITY, INFINITY};
        for (const std::size_t i : neurons) {
            const double s = coefficient(l, t, i) * score(value(l, i), w, folded, centred);
            out.mean += s / static_cast<double>(neurons.size());
            out.max = std::max(out.max, s);
            out.min = std::min(out.min, s);
        }
        return out;
    }
    /// ⟨e, after - before⟩.
    [[nodiscard]] double whole(std::size_t l, std::size_t t, token_id w, bool folded,
                               bool centred) const {
        return score(change(l, t), w, folded, centred);
    }
    [[nodiscard]] double norm_share(std::size_t l, std::size_t t, std::size_t k) const {
        std::vector<double> sum(m_model->config.width, 0.0);
        for (const std::size_t i : dominant(l, t, k)) {
            const auto v = value(l, i);
            for (std::size_t d = 0; d < v.size(); ++d) { sum[d] += coefficient(l, t, i) * v[d]; }
        }
        return length(sum) / length(change(l, t));
    }
    [[nodiscard]] double score(const std::vector<double>& v, token_id w, bool folded,
                               bool centred) const {
        const auto e = direction(w);
        double out = 0.0;
        for (std::size_t d = 0; d < v.size(); ++d) {
            const double gain =
                folded && m_model->final_norm ? double{m_model->final_norm->gain(d)} : 1.0;
            out += (e[d] - (centred ? m_mean[d] : 0.0)) * gain * v[d];
        }
        return out;
    }
    [[nodiscard]] double coefficient(std::size_t l, std::size_t t, std::size_t i) const {
        return m_seen.m_of[l](t, i);
    }

private:
    struct capture {
        static constexpr hook hooks = hook::before | hook::coefficients | hook::after;
        std::vector<xt::xtensor<float, 2>> before_of;
        std::vector<xt::xtensor<float, 2>> m_of;
        std::vector<xt::xtensor<float, 2>> after_of;
        void before(const site&, rows<float> x) { before_of.emplace_back(x.tensor()); }
        void coefficients(const site&, rows<float> x) { m_of.emplace_back(x.tensor()); }
        void after(const site&, rows<float> x) { after_of.emplace_back(x.tensor()); }
    };

    [[nodiscard]] xt::xtensor<float, 2> logits(const xt::xtensor<float, 2>& x) const {
        xt::xtensor<float, 2> out = xt::empty<float>({x.shape(0), m_model->config.vocabulary});
        m_model->read_out(x, out);
        return out;
    }
    static token_id top(const xt::xtensor<float, 2>& logits, std::size_t t) {
        std::size_t best = 0;
        for (std::size_t w = 0; w < logits.shape(1); ++w) {
            if (logits(t, w) > logits(t, best)) { best = w; }
        }
        return static_cast<token_id>(best);
    }
    static double log_p(const xt::xtensor<float, 2>& logits, std::size_t t, token_id w) {
        double sum = 0.0;
        for (std::size_t i = 0; i < logits.shape(1); ++i) { sum += std::exp(double{logits(t, i)}); }
        return double{logits(t, static_cast<std::size_t>(w))} - std::log(sum);
    }
    [[nodiscard]] std::vector<double> direction(token_id w) const {
        std::vector<float> e(m_model->config.width);
        m_model->unembedding.direction(w, e);
        return {e.begin(), e.end()};
    }
    [[nodiscard]] std::vector<double> value(std::size_t l, std::size_t i) const {
        std::vector<float> v(m_model->config.width);
        m_model->blocks[l].ffn.value(i, v);
        return {v.begin(), v.end()};
    }
    [[nodiscard]] std::vector<double> change(std::size_t l, std::size_t t) const {
        std::vector<double> out;
        for (std::size_t d = 0; d < m_model->config.width; ++d) {
            out.push_back(double{m_seen.after_of[l](t, d)} - double{m_seen.before_of[l](t, d)});
        }
        return out;
    }
    static double length(const std::vector<double>& x) {
        double squares = 0.0;
        for (const double v : x) { squares += v * v; }
        return std::sqrt(squares);
    }

    const transformer<>* m_model;
    capture m_seen;
    std::vector<xt::xtensor<float, 2>> m_before;  ///< logits, a layer each
    std::vector<xt::xtensor<float, 2>> m_after;
    std::vector<double> m_mean;
};

}  // namespace xlens::test
