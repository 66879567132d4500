// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#if XLENS_DEFINES(kernels)
#include <xlens/core/parallel.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/dot_tile.hpp>
#include <xlens/kernels/lanes.hpp>
#include <xlens/kernels/prefetch.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/kernels/softmax.hpp>
#include <xlens/kernels/sum_tile.hpp>
#endif

namespace xlens::kernels {

/// Shape of a causal attention with grouped queries: heads is a multiple of kv_heads, and query
/// head h reads key-value head h / (heads / kv_heads).
struct attention_shape {
    std::size_t heads = 0;
    std::size_t kv_heads = 0;
    std::size_t head_size = 0;
    std::size_t window = 0;       ///< keys a query sees, itself included; 0: all before it
    float scale = 1.0F;           ///< usually 1/√head_size
    float cap = 0.0F;             ///< c: a score s becomes c·tanh(s/c) (Gemma 2); 0: it stays
    std::vector<float> slopes{};  ///< (heads): ALiBi (2108.12409), see below; empty: none
    std::vector<float> sinks{};   ///< (heads): gpt-oss, see below; empty: none
};

/// Causal softmax attention of T new positions over a cache that already holds them:
///   out(t, h) = Σ_s softmax_s(cap(scale·⟨q(t, h), k(s, g)⟩))·v(s, g),  g = h·kv_heads/heads,
///   s from max(0, p - window + 1) to p = first_position + t.
/// With slopes the score of key s is less by slope_h·(p - s); with sinks the softmax of head h has
/// a score sink_h more, whose weight falls away: weights then sum to less than 1.
/// queries, out (T, heads·head_size); keys, values (positions, kv_heads·head_size).
/// Memory O(attention_positions·positions) a thread, never T×T.
XLENS_API void attention(const attention_shape& shape, rows<const float> queries,
                         rows<const float> keys, rows<const float> values,
                         std::size_t first_position, rows<float> out);

#if XLENS_DEFINES(kernels)
namespace detail {

struct attention_scores;

/// A run of positions s that a query sees: [first, end).
struct key_range {
    std::size_t first = 0;
    std::size_t end = 0;
};

/// Calls tile(begin, count) for runs of at most `height` positions of the range. With few queries
/// the rows of x (positions, size), which lie far apart, are asked for one run ahead.
template <class Tile>
void by_tiles(const key_range& range, std::size_t height, std::size_t queries, rows<const float> x,
              Tile tile) {
    const bool few = queries < blocking::dot_positions;
    if (few) { height = blocking::few_queries_keys; }
    for (std::size_t s = range.first; s < range.end; s += height) {
        const std::size_t count = std::min(height, range.end - s);
        for (std::size_t i = s + count; few && i < std::min(x.count(), s + 2 * count); ++i) {
            prefetch(x[i].data(), x.width() * sizeof(float));
        }
        tile(s, count);
    }
}

/// scores(t, s - first) = ⟨q_t, k_s⟩ for every s of the range; queries (T, size), keys
/// (positions, size).
inline void score(rows<const float> queries, rows<const float> keys, const key_range& range,
                  rows<float> scores) {
    by_tiles(range, blocking::dot_tile_rows, queries.count(), keys,
             [&](std::size_t s, std::size_t count) {
                 dot_tile(keys.subrows(s, count))
                     .meet(queries, scores.columns(s - range.first, count), false);
             });
}

/// out_t += Σ_s weights(t, s - origin)·v_s over the range.
inline void mix(rows<const float> weights, std::size_t origin, rows<const float> values,
                const key_range& range, rows<float> out) {
    by_tiles(range, blocking::sum_tile_rows, weights.count(), values,
             [&](std::size_t s, std::size_t count) {
                 sum_tile(values.subrows(s, count)).add_to(weights.columns(s - origin, count), out);
             });
}

/// What makes scores, and weights of them, of a head's products ⟨q, k⟩.
struct score_form {
    score_form(const attention_shape& shape, std::size_t head)
        : scale(shape.scale),
          cap(shape.cap),
          slope(shape.slopes.empty() ? 0.0F : shape.slopes[head]),
          sink(shape.sinks.empty() ? nullptr : &shape.sinks[head]) {}

    float scale;
    float cap;
    float slope;
    const float* sink;
};

/// weights(t, ·) := softmax of the products weights(t, ·), of which the last is the query's own
/// position; out_t := 0.
inline void weigh(std::span<float> weights, const score_form& form, std::span<float> out) {
    const float scale = form.scale;
    transform(weights, [scale](const batch& v) { return batch(scale) * v; });
    if (form.cap > 0.0F) {
        const float cap = form.cap;
        transform(weights,
                  [cap](const batch& v) { return batch(cap) * xsimd::tanh(v / batch(cap)); });
    }
    if (form.slope != 0.0F) {
        for (std::size_t s = 0; s < weights.size(); ++s) {
            weights[s] -= form.slope * static_cast<float>(weights.size() - 1 - s);
        }
    }
    if (form.sink == nullptr) {
        softmax(weights);
    } else {
        const float keys = log_sum_exp(weights);
        const float share = 1.0F / (1.0F + std::exp(*form.sink - keys));
        softmax(weights);
        transform(weights, [share](const batch& v) { return batch(share) * v; });
    }
    std::fill(out.begin(), out.end(), 0.0F);
}

/// Attention of one head for some queries in a row, `seen(t)` being what query t sees. The ranges
/// begin and end in the order of the queries.
template <class Seen>
void attend(rows<const float> queries, rows<const float> keys, rows<const float> values, Seen seen,
            const score_form& form, rows<float> out) {
    const std::size_t last = queries.count() - 1;
    const key_range all{seen(0).first, seen(last).end};
    const std::size_t width = all.end - all.first;
    const rows<float> weights(scratch<attention_scores>(queries.count() * width), queries.count(),
                              width);
    score(queries, keys, all, weights);
    for (std::size_t t = 0; t <= last; ++t) {
        const key_range own = seen(t);
        weigh(weights[t].subspan(own.first - all.first, own.end - own.first), form, out[t]);
    }
    // What every query sees is mixed for all of them together, the rest query by query. A weight of
    // 0 would not do: times an infinite value it is a NaN.
    const key_range common{seen(last).first, std::max(seen(last).first, seen(0).end)};
    const auto each = [&](auto part) {
        for (std::size_t t = 0; t <= last; ++t) {
            mix(weights.subrows(t, 1), all.first, values, part(seen(t)), out.subrows(t, 1));
        }
    };
    each([&](const key_range& own) {
        return key_range{own.first, std::min(own.end, common.first)};
    });
    mix(weights, all.first, values, common, out);
    each([&](const key_range& own) { return key_range{std::max(own.first, common.end), own.end}; });
}

/// Attention of one position. The query heads of a key-value head read its keys and values
/// together.
inline void attend_once(const attention_shape& shape, rows<const float> queries,
                        rows<const float> keys, rows<const float> values, const key_range& seen,
                        rows<float> out) {
    const std::size_t size = shape.head_size;
    const std::size_t group = shape.heads / shape.kv_heads;
    const std::size_t width = seen.end - seen.first;
    const rows<float> weights(scratch<attention_scores>(shape.heads * width), shape.heads, width);
    const auto score_some = [&](std::size_t g, const key_range& some) {
        score({queries.data() + g * group * size, group, size}, keys.columns(g * size, size), some,
              weights.subrows(g * group, group)
                  .columns(some.first - seen.first, some.end - some.first));
    };
    // Long before there are many heads there are many keys: then these are shared out.
    const bool many_keys = width >= blocking::many_keys;
    constexpr std::size_t height = blocking::dot_tile_rows;
    if (many_keys) {
        parallel_for((width + height - 1) / height, 2 * height * size * shape.heads,
                     [&](std::size_t tile) {
                         const std::size_t begin = seen.first + tile * height;
                         for (std::size_t g = 0; g < shape.kv_heads; ++g) {
                             score_some(g, {begin, std::min(seen.end, begin + height)});
                         }
                     });
    }
    parallel_for(shape.kv_heads, 4 * size * width * group, [&](std::size_t g) {
        if (!many_keys) { score_some(g, seen); }
        const rows<float> own = weights.subrows(g * group, group);
        const rows<float> mixed(out.data() + g * group * size, group, size);
        for (std::size_t i = 0; i < group; ++i) {
            weigh(own[i], score_form(shape, g * group + i), mixed[i]);
        }
        mix(own, seen.first, values.columns(g * size, size), seen, mixed);
    });
}

}  // namespace detail

XLENS_API void attention(const attention_shape& shape, rows<const float> queries,
                         rows<const float> keys, rows<const float> values,
                         std::size_t first_position, rows<float> out) {
    const std::size_t size = shape.head_size;
    const std::size_t group = shape.heads / shape.kv_heads;
    const std::size_t seen_by_last = first_position + queries.count();
    const auto seen_by = [&](std::size_t t) {
        const std::size_t end = first_position + t + 1;
        const bool cut = shape.window != 0 && end > shape.window;
        return detail::key_range{cut ? end - shape.window : 0, end};
    };
    if (queries.count() == 1) {
        return detail::attend_once(shape, queries, keys, values, seen_by(0), out);
    }
    constexpr std::size_t block = blocking::attention_positions;
    const std::size_t blocks = (queries.count() + block - 1) / block;
    // Head by head, so that equal shares of the tasks are about equal shares of the work, which
    // grows along the positions.
    parallel_for(shape.heads * blocks, 4 * size * seen_by_last * std::min(block, queries.count()),
                 [&](std::size_t task) {
                     const std::size_t h = task / blocks;
                     const std::size_t t = task % blocks * block;
                     const std::size_t count = std::min(block, queries.count() - t);
                     const auto seen = [&](std::size_t i) { return seen_by(t + i); };
                     detail::attend(queries.subrows(t, count).columns(h * size, size),
                                    keys.columns(h / group * size, size),
                                    values.columns(h / group * size, size), seen,
                                    detail::score_form(shape, h),
                                    out.subrows(t, count).columns(h * size, size));
                 });
}
#endif

}  // namespace xlens::kernels
