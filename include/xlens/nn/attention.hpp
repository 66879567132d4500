// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/kernels/attention.hpp>
#include <xlens/nn/kv_cache.hpp>
#include <xlens/nn/linear.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/nn/position.hpp>
#include <xlens/nn/workspace.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace xlens {

/// Norm of queries or keys, before they turn: none, or an RMS norm of each head (Qwen3).
struct no_head_norm {
    void operator()(rows<float>, std::size_t) const {}
};
struct rms_head_norm {
    rms_norm norm;  ///< γ (head_size)

    /// x (T, heads·head_size), in place.
    void operator()(rows<float> x, std::size_t head_size) const {
        parallel_for(x.count(), 4 * x.width(), [&](std::size_t t) {
            const rows<float> heads(x[t].data(), x.width() / head_size, head_size);
            norm(heads, heads);
        });
    }
};

/// Any, as a file says: no norm; one for every head, or for all heads as one vector (OLMo 2), which
/// its size tells apart; or one a head (Cohere, StableLM).
struct any_head_norm {
    std::vector<any_norm> norms;

    /// x (T, heads·head_size), in place.
    void operator()(rows<float> x, std::size_t) const {
        if (norms.empty()) { return; }
        const std::size_t size = norms.front().gain.size();
        parallel_for(x.count(), 4 * x.width(), [&](std::size_t t) {
            const rows<float> parts(x[t].data(), x.width() / size, size);
            if (norms.size() == 1) { return norms.front()(parts, parts); }
            for (std::size_t h = 0; h < norms.size(); ++h) {
                norms[h](parts.subrows(h, 1), parts.subrows(h, 1));
            }
        });
    }
};

/// Causal self-attention with a key-value cache and grouped queries:
///   out_t = O·concat_h Σ_s softmax_s(⟨q_h, k_s⟩/√head_size)·v_s,   q, k, v = Q·x, K·x, V·x
/// where q and k pass the head norm and the rotation, if there are such.
template <class Position, class HeadNorm, weight_matrix Weights>
struct attention {
    linear<Weights> query;   ///< (heads·head_size, D)
    linear<Weights> key;     ///< (kv_heads·head_size, D)
    linear<Weights> value;   ///< (kv_heads·head_size, D)
    linear<Weights> output;  ///< (D, heads·head_size)
    HeadNorm query_norm;
    HeadNorm key_norm;
    kernels::attention_shape shape;
    layer_rope rope = layer_rope::first;
    float clip = 0.0F;  ///< q, k and v are cut to ±clip (OLMo, MPT); 0: they are not

    /// x (T, D) of the next T positions -> out (T, D); their keys and values go into the cache.
    /// Hooks see and change them before it rounds them; what is attended to is what it keeps.
    template <class Hooks>
    void operator()(rows<const float> x, const Position& position, kv_cache& cache, workspace& ws,
                    rows<float> out, Hooks& hooks) const {
        const std::size_t first = cache.extend(x.count());
        const auto [keys, values] = cache.write_at(first, ws.keys, ws.values);
        project(x, position, ws, keys, values);
        offer_projected(ws.queries, keys, values, hooks);
        cache.keep(first, keys, values);
        attend(ws.queries, cache, first, 0, hooks, ws.mixed);
        hooks.template offer<hook::head_outputs>(ws.mixed);
        output(ws.mixed, out);
    }

    /// The same for the next counts[n] positions of each of N sequences, whose rows follow one
    /// another: x (Σ counts, D) -> out (Σ counts, D), those of sequence n with caches[n]. ws.turned
    /// holds the rotation of each row's position.
    template <class Hooks>
    void each(rows<const float> x, const Position& position, std::span<kv_cache* const> caches,
              std::span<const std::size_t> counts, workspace& ws, rows<float> out,
              Hooks& hooks) const {
        const std::size_t width = shape.kv_heads * shape.head_size;
        ws.keys.resize({x.count(), width});
        ws.values.resize({x.count(), width});
        project(x, position, ws, ws.keys, ws.values);
        offer_projected(ws.queries, ws.keys, ws.values, hooks);
        for (std::size_t n = 0, row = 0; n < caches.size(); row += counts[n], ++n) {
            kv_cache& cache = *caches[n];
            const std::size_t first = cache.extend(counts[n]);
            cache.keep(first, rows<float>(ws.keys).subrows(row, counts[n]),
                       rows<float>(ws.values).subrows(row, counts[n]));
            attend(rows<float>(ws.queries).subrows(row, counts[n]), cache, first, row, hooks,
                   rows<float>(ws.mixed).subrows(row, counts[n]));
        }
        hooks.template offer<hook::head_outputs>(ws.mixed);
        output(ws.mixed, out);
    }

    /// Only the keys and values of x (T, D), into the cache: all that later positions need of a
    /// layer that an early exit skips.
    void extend(rows<const float> x, const Position& position, kv_cache& cache,
                workspace& ws) const {
        const std::size_t first = cache.extend(x.count());
        const auto [keys, values] = cache.write_at(first, ws.keys, ws.values);
        key(x, keys);
        value(x, values);
        cut(keys);
        cut(values);
        place_keys(position, ws, keys);
        cache.keep(first, keys, values);
    }

private:
    template <class Hooks>
    static void offer_projected(rows<float> queries, rows<float> keys, rows<float> values,
                                Hooks& hooks) {
        hooks.template offer<hook::queries>(queries);
        hooks.template offer<hook::keys>(keys);
        hooks.template offer<hook::values>(values);
    }
    /// Queries of positions `first` on, which are rows `row` on of the pass. Weights are kept only
    /// where a policy takes them; with the same bits.
    template <class Hooks>
    void attend(rows<const float> queries, kv_cache& cache, std::size_t first, std::size_t row,
                Hooks& hooks, rows<float> out) const {
        if (!hooks.template wanted<hook::pattern>()) {
            return kernels::attention(shape, queries, cache.keys(), cache.values(), first, out);
        }
        xt::xtensor<float, 2> pattern =
            xt::empty<float>({queries.count(), shape.heads * (first + queries.count())});
        kernels::attention_pattern(shape, queries, cache.keys(), first, pattern);
        hooks.template offer<hook::pattern>(pattern, row);
        kernels::attention_of_pattern(shape, pattern, cache.values(), first, out);
    }
    /// Queries of x into the workspace, its keys and values into theirs.
    void project(rows<const float> x, const Position& position, workspace& ws, rows<float> keys,
                 rows<float> values) const {
        const std::array<const linear<Weights>*, 3> layers{&query, &key, &value};
        const std::array<rows<float>, 3> outs{ws.queries, keys, values};
        std::array products{query.product(x, outs[0]), key.product(x, outs[1]),
                            value.product(x, outs[2])};
        kernels::run(products, [&](std::size_t i, std::size_t begin, std::size_t count) {
            layers[i]->add_bias(outs[i], begin, count);
        });
        for (const rows<float>& out : outs) { cut(out); }
        place_keys(position, ws, keys);
        query_norm(ws.queries, shape.head_size);
        position.rotate(ws.turned, rope, shape.head_size, ws.queries);
    }
    void place_keys(const Position& position, const workspace& ws, rows<float> keys) const {
        key_norm(keys, shape.head_size);
        position.rotate(ws.turned, rope, shape.head_size, keys);
    }
    void cut(rows<float> x) const {
        for (std::size_t t = 0; clip > 0.0F && t < x.count(); ++t) {
            for (float& v : x[t]) { v = std::clamp(v, -clip, clip); }
        }
    }
};

}  // namespace xlens
