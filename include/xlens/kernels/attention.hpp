// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/kernels/add.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/kernels/softmax.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cstddef>
#include <span>

namespace xlens::kernels {

/// Shape of a causal attention with grouped queries: heads is a multiple of kv_heads, and query
/// head h reads key-value head h / (heads / kv_heads).
struct attention_shape {
    std::size_t heads = 0;
    std::size_t kv_heads = 0;
    std::size_t head_size = 0;
    std::size_t window = 0;  ///< keys a query sees, itself included; 0: all before it
    float scale = 1.0F;      ///< usually 1/√head_size
};

namespace detail {

struct attention_scores;

/// out = Σ_s softmax_s(scale·⟨q, k_s⟩)·v_s over positions s in [first, last].
inline void attend(std::span<const float> q, rows<const float> keys, rows<const float> values,
                   std::size_t first, std::size_t last, float scale, std::span<float> out) {
    const std::size_t count = last - first + 1;
    const std::span<float> scores(scratch<attention_scores>(count), count);
    for (std::size_t s = 0; s < count; ++s) { scores[s] = scale * dot(q, keys[first + s]); }
    softmax(scores);
    std::fill(out.begin(), out.end(), 0.0F);
    for (std::size_t s = 0; s < count; ++s) { add_scaled(scores[s], values[first + s], out); }
}

}  // namespace detail

/// Causal softmax attention of T new positions over a cache that already holds them:
///   out(t, h) = Σ_s softmax_s(scale·⟨q(t, h), k(s, g)⟩)·v(s, g),  g = h·kv_heads/heads,
///   s from max(0, p - window + 1) to p = first_position + t.
/// queries, out (T, heads·head_size); keys, values (positions, kv_heads·head_size).
/// One row of scores at a time: memory O(positions) a thread, never T×T.
inline void attention(const attention_shape& shape, rows<const float> queries,
                      rows<const float> keys, rows<const float> values, std::size_t first_position,
                      rows<float> out) {
    const std::size_t size = shape.head_size;
    const std::size_t group = shape.heads / shape.kv_heads;
    const std::size_t seen = first_position + queries.count();
    parallel_for(queries.count() * shape.heads, 4 * size * seen, [&](std::size_t task) {
        const std::size_t t = task / shape.heads;
        const std::size_t h = task % shape.heads;
        const std::size_t last = first_position + t;
        const bool cut = shape.window != 0 && last + 1 > shape.window;
        const std::size_t first = cut ? last + 1 - shape.window : 0;
        detail::attend(queries[t].subspan(h * size, size), keys.columns(h / group * size, size),
                       values.columns(h / group * size, size), first, last, shape.scale,
                       out[t].subspan(h * size, size));
    });
}

}  // namespace xlens::kernels
