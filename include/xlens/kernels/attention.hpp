// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/storage/cache_rows.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#if XLENS_DEFINES(kernels)
#include <xlens/core/parallel.hpp>
#include <xlens/kernels/add.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/dot_tile.hpp>
#include <xlens/kernels/lanes.hpp>
#include <xlens/kernels/packed_keys.hpp>
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
/// queries, out (T, heads·head_size); keys, values (positions, kv_heads·head_size), in any of the
/// formats of storage/cache_rows.hpp: decoded on the way, with the bits of a cache of the decoded
/// floats.
/// Memory O(attention_positions·positions) a thread, never T×T, and with many queries the keys of
/// the layer as floats (kernels/packed_keys.hpp).
XLENS_API void attention(const attention_shape& shape, rows<const float> queries,
                         const cache_rows& keys, const cache_rows& values,
                         std::size_t first_position, rows<float> out);

/// The same in two steps, with the same bits, for those who look at the weights. First the weights:
/// pattern (T, heads·S), S = first_position + T; that of key s for head h at h·S + s, 0 where the
/// query does not see s. Other shapes as above. Memory: the pattern alone.
XLENS_API void attention_pattern(const attention_shape& shape, rows<const float> queries,
                                 const cache_rows& keys, std::size_t first_position,
                                 rows<float> pattern);
/// Then the sums of the values, over the keys that each query sees: out (T, heads·head_size).
XLENS_API void attention_of_pattern(const attention_shape& shape, rows<const float> pattern,
                                    const cache_rows& values, std::size_t first_position,
                                    rows<float> out);

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
void by_tiles(const key_range& range, std::size_t height, std::size_t queries, const cache_rows& x,
              Tile tile) {
    const bool few = queries < blocking::dot_positions;
    if (few) { height = blocking::few_queries_keys; }
    for (std::size_t s = range.first; s < range.end; s += height) {
        const std::size_t count = std::min(height, range.end - s);
        for (std::size_t i = s + count; few && i < std::min(x.count(), s + 2 * count); ++i) {
            prefetch(x.stored(i), x.row_bytes());
        }
        tile(s, count);
    }
}

/// scores(t, s - first) = ⟨q_t, k_s⟩ for every s of the range; queries (T, size), keys
/// (positions, size).
inline void score(rows<const float> queries, const cache_rows& keys, const key_range& range,
                  rows<float> scores) {
    by_tiles(range, blocking::dot_tile_rows, queries.count(), keys,
             [&](std::size_t s, std::size_t count) {
                 dot_tile(keys.subrows(s, count))
                     .meet(queries, scores.columns(s - range.first, count), false);
             });
}

/// out_t += Σ_s weights(t, s - origin)·v_s over the range.
inline void mix(rows<const float> weights, std::size_t origin, const cache_rows& values,
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
/// position.
inline void weigh(std::span<float> weights, const score_form& form) {
    const float scale = form.scale;
    const bool plain = form.cap <= 0.0F && form.slope == 0.0F && form.sink == nullptr;
    if (plain && scale > 0.0F) { return softmax(weights, scale); }
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
}

/// What some queries in a row see together, `seen(t)` being what query t sees. The ranges begin and
/// end in the order of the queries.
template <class Seen>
key_range seen_by_all(Seen seen, std::size_t queries) {
    return {seen(0).first, seen(queries - 1).end};
}

/// What query t of a pass sees, whose first query is of position `first`.
inline key_range seen_by(const attention_shape& shape, std::size_t first, std::size_t t) {
    const std::size_t end = first + t + 1;
    const bool cut = shape.window != 0 && end > shape.window;
    return {cut ? end - shape.window : 0, end};
}

/// The keys of a layer, of which many queries meet packed those that one of them sees.
class keys_of_heads {
public:
    keys_of_heads(const attention_shape& shape, const cache_rows& keys, std::size_t first_position,
                  std::size_t queries)
        : m_keys(keys), m_size(shape.head_size), m_first(seen_by(shape, first_position, 0).first) {
        if (packed_keys::pays(queries, m_size)) {
            m_packed.emplace(keys.subrows(m_first, keys.count() - m_first), m_size);
        }
    }

    /// scores(t, s - first) = ⟨q_t, k_s⟩ of key-value head g for every s of the range.
    void meet(std::size_t g, const key_range& range, rows<const float> queries,
              rows<float> scores) const {
        if (m_packed) { return m_packed->meet(g, range.first - m_first, queries, scores); }
        score(queries, m_keys.columns(g * m_size, m_size), range, scores);
    }

private:
    cache_rows m_keys;
    std::size_t m_size;
    std::size_t m_first;
    std::optional<packed_keys> m_packed;
};

/// The weights of query head h for such queries, of all that they see together; what a query does
/// not see itself is left as it comes.
template <class Seen>
void weigh_keys(const attention_shape& shape, std::size_t h, rows<const float> queries,
                const keys_of_heads& keys, Seen seen, rows<float> weights) {
    const key_range all = seen_by_all(seen, queries.count());
    keys.meet(h / (shape.heads / shape.kv_heads), all,
              queries.columns(h * shape.head_size, shape.head_size), weights);
    const score_form form(shape, h);
    for (std::size_t t = 0; t < queries.count(); ++t) {
        const key_range own = seen(t);
        weigh(weights[t].subspan(own.first - all.first, own.end - own.first), form);
    }
}

struct attention_value;

/// out += Σ_s weights(s)·v_s over a few values.
inline void mix_few(std::span<const float> weights, const cache_rows& values,
                    std::span<float> out) {
    float* const buffer = scratch<attention_value>(values.width());
    for (std::size_t s = 0; s < weights.size(); ++s) {
        add_scaled(weights[s], {values.decoded(s, buffer), values.width()}, out);
    }
}

/// out_t := Σ_s weights(t, s)·v_s over what query t sees.
template <class Seen>
void mix_values(rows<const float> weights, const cache_rows& values, Seen seen, rows<float> out) {
    const std::size_t queries = weights.count();
    const key_range all = seen_by_all(seen, queries);
    const auto mix_some = [&](std::size_t t, std::size_t count, const key_range& keys) {
        mix(weights.subrows(t, count), all.first, values, keys, out.subrows(t, count));
    };
    for (std::size_t t = 0; t < queries; ++t) { std::ranges::fill(out[t], 0.0F); }
    // What every query sees is mixed for all of them together, then what every one of a group sees,
    // the rest query by query. A weight of 0 would not do: times an infinite value it is a NaN.
    const std::size_t first = seen(queries - 1).first;
    const key_range common{first, std::max(first, seen(0).end)};
    for (std::size_t t = 0; t < queries; ++t) {
        mix_some(t, 1, {seen(t).first, std::min(seen(t).end, common.first)});
    }
    mix_some(0, queries, common);
    for (std::size_t g = 0; g < queries; g += blocking::sum_positions) {
        const std::size_t some = std::min(blocking::sum_positions, queries - g);
        const key_range shared{common.end, std::max(common.end, seen(g).end)};
        mix_some(g, some, shared);
        for (std::size_t t = g; t < g + some; ++t) {
            const std::size_t rest = std::max(shared.end, seen(t).end) - shared.end;
            mix_few(weights[t].subspan(shared.end - all.first, rest),
                    values.subrows(shared.end, rest), out[t]);
        }
    }
}

/// Attention of one position. The query heads of a key-value head read its keys and values
/// together.
inline void attend_once(const attention_shape& shape, rows<const float> queries,
                        const cache_rows& keys, const cache_rows& values, const key_range& seen,
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
            weigh(own[i], score_form(shape, g * group + i));
            std::ranges::fill(mixed[i], 0.0F);
        }
        mix(own, seen.first, values.columns(g * size, size), seen, mixed);
    });
}

/// Runs task(h, t, count, seen) for every head h and block of `count` queries from t on, `seen(i)`
/// being what query t + i sees. Head by head, so that equal shares of the tasks are about equal
/// shares of the work, which grows along the positions.
template <class Task>
void by_heads(const attention_shape& shape, std::size_t first, std::size_t queries, Task task) {
    constexpr std::size_t block = blocking::attention_positions;
    const std::size_t blocks = (queries + block - 1) / block;
    const std::size_t work = 4 * shape.head_size * (first + queries) * std::min(block, queries);
    parallel_for(shape.heads * blocks, work, [&](std::size_t number) {
        const std::size_t t = number % blocks * block;
        task(number / blocks, t, std::min(block, queries - t),
             [&](std::size_t i) { return seen_by(shape, first, t + i); });
    });
}

}  // namespace detail

XLENS_API void attention(const attention_shape& shape, rows<const float> queries,
                         const cache_rows& keys, const cache_rows& values,
                         std::size_t first_position, rows<float> out) {
    const std::size_t size = shape.head_size;
    const std::size_t group = shape.heads / shape.kv_heads;
    if (queries.count() == 1) {
        const detail::key_range seen = detail::seen_by(shape, first_position, 0);
        return detail::attend_once(shape, queries, keys, values, seen, out);
    }
    const detail::keys_of_heads all_keys(shape, keys, first_position, queries.count());
    const auto task = [&](std::size_t h, std::size_t t, std::size_t count, auto seen) {
        const detail::key_range all = detail::seen_by_all(seen, count);
        const std::size_t width = all.end - all.first;
        const rows<float> weights(scratch<detail::attention_scores>(count * width), count, width);
        detail::weigh_keys(shape, h, queries.subrows(t, count), all_keys, seen, weights);
        detail::mix_values(weights, values.columns(h / group * size, size), seen,
                           out.subrows(t, count).columns(h * size, size));
    };
    detail::by_heads(shape, first_position, queries.count(), task);
}

XLENS_API void attention_pattern(const attention_shape& shape, rows<const float> queries,
                                 const cache_rows& keys, std::size_t first_position,
                                 rows<float> pattern) {
    const std::size_t positions = pattern.width() / shape.heads;
    const detail::keys_of_heads all_keys(shape, keys, first_position, queries.count());
    const auto task = [&](std::size_t h, std::size_t t, std::size_t count, auto seen) {
        const rows<float> own = pattern.subrows(t, count).columns(h * positions, positions);
        const detail::key_range all = detail::seen_by_all(seen, count);
        detail::weigh_keys(shape, h, queries.subrows(t, count), all_keys, seen,
                           own.columns(all.first, all.end - all.first));
        for (std::size_t i = 0; i < count; ++i) {
            std::ranges::fill(own[i].first(seen(i).first), 0.0F);
            std::ranges::fill(own[i].subspan(seen(i).end), 0.0F);
        }
    };
    detail::by_heads(shape, first_position, queries.count(), task);
}

XLENS_API void attention_of_pattern(const attention_shape& shape, rows<const float> pattern,
                                    const cache_rows& values, std::size_t first_position,
                                    rows<float> out) {
    const std::size_t size = shape.head_size;
    const std::size_t group = shape.heads / shape.kv_heads;
    const std::size_t positions = pattern.width() / shape.heads;
    const auto task = [&](std::size_t h, std::size_t t, std::size_t count, auto seen) {
        const detail::key_range all = detail::seen_by_all(seen, count);
        detail::mix_values(
            pattern.subrows(t, count).columns(h * positions + all.first, all.end - all.first),
            values.columns(h / group * size, size), seen,
            out.subrows(t, count).columns(h * size, size));
    };
    detail::by_heads(shape, first_position, pattern.count(), task);
}
#endif

}  // namespace xlens::kernels
