// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/kernels/add.hpp>
#include <xlens/nn/attention.hpp>
#include <xlens/nn/feed_forward.hpp>
#include <xlens/nn/kv_cache.hpp>
#include <xlens/nn/workspace.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <cstddef>
#include <span>

namespace xlens {

/// One transformer layer, the same for every architecture. On the residual x (T, D):
///   x ← x + attention(norm_a(x))       then it is `before`
///   m = coefficients(norm_f(x))
///   x ← x + Σ_i m_i·v_i + b            then it is `after`
/// With a parallel residual (GPT-NeoX) norm_f reads the x that entered the layer.
template <class Preset, weight_matrix Weights>
struct block {
    using norm_type = typename Preset::norm;
    using position_type = typename Preset::template position<Weights>;
    using attention_type = xlens::attention<position_type, typename Preset::head_norm, Weights>;
    using feed_forward_type =
        feed_forward<typename Preset::activation, typename Preset::gate, Weights>;

    norm_type attention_norm;
    attention_type attention;
    norm_type ffn_norm;
    feed_forward_type ffn;
    bool parallel_residual = false;

    /// x (T, D) in place. Policies see and may edit every step (hooks/policy.hpp).
    template <policy... P>
    flow operator()(const site& where, rows<float> x, const position_type& position,
                    kv_cache& cache, workspace& ws, P&... policies) const {
        flow result = flow::proceed;
        const auto offer = [&]<hook H>(rows<float> r) {
            if (call_hooks<H>(where, r, policies...) == flow::stop) { result = flow::stop; }
        };
        const auto attend = [&] { attention(ws.normed, position, cache, ws, ws.update); };
        run(x, ws, attend, offer, wants<hook::pre_activations>(policies...));
        return result;
    }

    /// The same for one position each of N sequences: x (N, D), row n with caches[n] and
    /// sites[n]. Policies are called row by row, and what they answer is not asked for.
    template <policy... P>
    void each(std::span<const site> sites, rows<float> x, const position_type& position,
              std::span<kv_cache* const> caches, workspace& ws, P&... policies) const {
        const auto offer = [&]<hook H>(rows<float> r) {
            if constexpr (sizeof...(P) > 0) {
                for (std::size_t n = 0; n < r.count(); ++n) {
                    call_hooks<H>(sites[n], r.subrows(n, 1), policies...);
                }
            }
        };
        const auto attend = [&] { attention.each(ws.normed, position, caches, ws, ws.update); };
        run(x, ws, attend, offer, wants<hook::pre_activations>(policies...));
    }

    /// What a skipped layer owes to later positions: keys and values from the exit residual x.
    void fill_cache(rows<const float> x, const position_type& position, kv_cache& cache,
                    workspace& ws) const {
        attention_norm(x, ws.normed);
        attention.extend(ws.normed, position, cache, ws);
    }

private:
    template <class Attend, class Offer>
    void run(rows<float> x, workspace& ws, Attend attend, Offer offer,
             bool before_activation) const {
        attention_norm(x, ws.normed);
        attend();
        offer.template operator()<hook::attention_out>(ws.update);

        if (parallel_residual) { ffn_norm(x, ws.normed); }
        add(ws.update, x);
        offer.template operator()<hook::before>(x);
        if (!parallel_residual) { ffn_norm(x, ws.normed); }

        if (before_activation) {
            ffn.coefficients(ws.normed, ws.coefficients, [&](rows<float> g) {
                offer.template operator()<hook::pre_activations>(g);
            });
        } else {
            ffn.coefficients(ws.normed, ws.coefficients);
        }
        offer.template operator()<hook::coefficients>(ws.coefficients);
        ffn.sum(ws.coefficients, ws.update);
        ffn.add_output_bias(ws.update);
        add(ws.update, x);
        offer.template operator()<hook::after>(x);
    }
    static void add(rows<const float> update, rows<float> x) {
        parallel_for(x.count(), 2 * x.width(),
                     [&](std::size_t t) { kernels::add_scaled(1.0F, update[t], x[t]); });
    }
};

}  // namespace xlens
