// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/hooks/layer_hooks.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/kernels/add.hpp>
#include <xlens/nn/attention.hpp>
#include <xlens/nn/feed_forward.hpp>
#include <xlens/nn/kv_cache.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/nn/workspace.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <cstddef>
#include <optional>

namespace xlens {

/// One transformer layer, the same for every architecture. On the residual x (T, D):
///   h = norm_post_a(attention(norm_a(x)))
///   x ← x + r·h                                        then it is `before`
///   m = coefficients(norm_f(x))
///   x ← x + r·norm_post_f(Σ_i m_i·w_i + b)             then it is `after`
/// Each norm may be absent; r is 1 in most models, norm_post_f and the second r are the FFN's own
/// (feed_forward::writes_through). With a parallel residual (GPT-NeoX) norm_f reads the x that
/// entered the layer.
template <class Preset, weight_matrix Weights>
struct block {
    using norm_type = typename Preset::norm;
    using position_type = typename Preset::template position<Weights>;
    using attention_type = xlens::attention<position_type, typename Preset::head_norm, Weights>;
    using feed_forward_type =
        feed_forward<typename Preset::activation, typename Preset::gate, Weights>;

    std::optional<norm_type> attention_norm;
    attention_type attention;
    std::optional<rms_norm> attention_post_norm;
    std::optional<norm_type> ffn_norm;
    feed_forward_type ffn;
    float residual_scale = 1.0F;  ///< r
    bool parallel_residual = false;

    /// x (T, D) in place. Policies see and may edit every step (hooks/policy.hpp). `pass` knows
    /// whose positions the rows are (model/pass.hpp): it attends and calls the policies.
    template <class Pass, policy... P>
    flow operator()(Pass& pass, rows<float> x, const position_type& position,
                    P&... policies) const {
        layer_hooks<Pass, P...> hooks(pass, policies...);
        workspace& ws = pass.work();
        normalise(attention_norm, x, ws.normed);
        pass.attend(attention, ws.normed, position, ws.update, hooks);
        if (attention_post_norm) { (*attention_post_norm)(ws.update, ws.update); }
        if (residual_scale != 1.0F) { multiply(ws.update, residual_scale); }
        hooks.template offer<hook::attention_out>(ws.update);

        if (parallel_residual) { normalise(ffn_norm, x, ws.normed); }
        add(ws.update, x);
        hooks.template offer<hook::before>(x);
        if (!parallel_residual) { normalise(ffn_norm, x, ws.normed); }

        if (hooks.template wanted<hook::pre_activations>()) {
            ffn.coefficients(ws.normed, ws.coefficients, [&](rows<float> g) {
                hooks.template offer<hook::pre_activations>(g);
            });
        } else {
            ffn.coefficients(ws.normed, ws.coefficients);
        }
        hooks.template offer<hook::coefficients>(ws.coefficients);
        ffn.sum(ws.coefficients, ws.update);
        ffn.finish(ws.update);
        hooks.template offer<hook::ffn_out>(ws.update);
        add(ws.update, x);
        hooks.template offer<hook::after>(x);
        return hooks.result();
    }

    /// What a skipped layer owes to later positions: keys and values from the exit residual x.
    void fill_cache(rows<const float> x, const position_type& position, kv_cache& cache,
                    workspace& ws) const {
        normalise(attention_norm, x, ws.normed);
        attention.extend(ws.normed, position, cache, ws);
    }

private:
    static void multiply(rows<float> x, float by) {
        parallel_for(x.count(), x.width(), [&](std::size_t t) {
            for (float& v : x[t]) { v *= by; }
        });
    }
    static void add(rows<const float> update, rows<float> x) {
        parallel_for(x.count(), 2 * x.width(),
                     [&](std::size_t t) { kernels::add_scaled(1.0F, update[t], x[t]); });
    }
};

}  // namespace xlens
