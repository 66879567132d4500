// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/rows.hpp>

#include <cmath>
#include <cstddef>
#include <vector>

namespace xlens::reference {

/// Whether the query at position `at` sees the key at position `key`.
template <class Shape>
bool attends(const Shape& shape, std::size_t at, std::size_t key) {
    return key <= at && (shape.window == 0 || key + shape.window > at);
}

/// The score of a product ⟨q, k⟩ of head h and a key `distance` positions before the query.
template <class Shape>
double score_of(const Shape& shape, std::size_t h, double product, std::size_t distance) {
    double score = product * static_cast<double>(shape.scale);
    if (shape.cap > 0.0F) {
        const double cap = static_cast<double>(shape.cap);
        score = cap * std::tanh(score / cap);
    }
    if (shape.slopes.empty()) { return score; }
    return score - static_cast<double>(shape.slopes[h]) * static_cast<double>(distance);
}

/// Causal softmax attention with grouped queries, as kernels::attention defines it, in double
/// precision and over a full row of weights. queries, out (T, heads·head_size);
/// keys, values (positions, kv_heads·head_size). Shape: kernels::attention_shape.
template <class Shape>
void attention(const Shape& shape, rows<const float> queries, rows<const float> keys,
               rows<const float> values, std::size_t first_position, rows<float> out) {
    const std::size_t size = shape.head_size;
    for (std::size_t t = 0; t < queries.count(); ++t) {
        for (std::size_t h = 0; h < shape.heads; ++h) {
            const std::size_t kv = h * shape.kv_heads / shape.heads * size;
            std::vector<double> weight(keys.count(), 0.0);
            double total = 0.0;
            for (std::size_t s = 0; s < keys.count(); ++s) {
                if (!attends(shape, first_position + t, s)) { continue; }
                double score = 0.0;
                for (std::size_t i = 0; i < size; ++i) {
                    score += static_cast<double>(queries[t][h * size + i]) *
                             static_cast<double>(keys[s][kv + i]);
                }
                weight[s] = std::exp(score_of(shape, h, score, first_position + t - s));
                total += weight[s];
            }
            if (!shape.sinks.empty()) { total += std::exp(static_cast<double>(shape.sinks[h])); }
            for (std::size_t i = 0; i < size; ++i) {
                double sum = 0.0;
                for (std::size_t s = 0; s < keys.count(); ++s) {
                    sum += weight[s] / total * static_cast<double>(values[s][kv + i]);
                }
                out[t][h * size + i] = static_cast<float>(sum);
            }
        }
    }
}

}  // namespace xlens::reference
