// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/compare/compare_options.hpp>
#include <xlens/compare/comparison.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/model/transformer.hpp>

#include <vector>

#if XLENS_DEFINES(compare)
#include <xlens/compare/layer_collector.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/lens/token_ends.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/rows_at.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#endif

namespace xlens {

/// The value vectors of two models of one shape, v_i of A beside v_i of B.
struct compared_values {
    std::vector<value_difference> layers;
    std::vector<compared_value> least;  ///< of smallest cosine below 1, of equals the lower neuron
};

/// Compares all value vectors (cosine) and what some of them promote (`options.promoted` tokens of
/// the folded projection, each by its own model's unembedding): an even sample of each layer, and
/// those that are least alike. Memory: the value vectors of a layer of both. Cost: a pass over the
/// value matrices, and V·D multiply-adds a concept. `progress` counts layers.
XLENS_API compared_values compare_values(const transformer<>& a, const transformer<>& b,
                                         const compare_options& options,
                                         const progress_function& progress = {});

#if XLENS_DEFINES(compare)

namespace detail {

/// The share of tokens that two lists have in common; 1 of two empty ones.
inline double shared_tokens(const std::vector<scored>& a, const std::vector<scored>& b) {
    if (a.empty() && b.empty()) { return 1.0; }
    const auto in_b = [&](const scored& s) {
        return std::ranges::find(b, s.id, &scored::id) != b.end();
    };
    return static_cast<double>(std::ranges::count_if(a, in_b)) /
           static_cast<double>(std::max(a.size(), b.size()));
}

/// One layer after the other.
class value_comparer {
public:
    value_comparer(const transformer<>& a, const transformer<>& b, const compare_options& options)
        : m_lens_a(a), m_lens_b(b), m_options(&options) {}

    void add(rows<const float> a, rows<const float> b) {
        std::vector<double> found(a.count());
        parallel_for(a.count(), 8 * a.width(),
                     [&](std::size_t i) { found[i] = cosine(a[i], b[i]); });
        value_difference layer;
        layer.cosine = 0.0;
        for (const double c : found) { layer.cosine += c; }
        layer.cosine /= static_cast<double>(found.size());
        const auto least = std::ranges::min_element(found);
        layer.least = *least;
        layer.neuron = static_cast<std::size_t>(least - found.begin());
        layer.promoted = sampled(a, b);
        keep_least(a, b, found);
        m_found.layers.push_back(layer);
    }
    [[nodiscard]] compared_values result() { return std::move(m_found); }

private:
    /// The mean share of promoted tokens that the sample has in common. Vectors that are the same
    /// are read too, for the unembeddings may differ.
    [[nodiscard]] double sampled(rows<const float> a, rows<const float> b) const {
        const std::size_t count = std::min(m_options->value_sample, a.count());
        if (count == 0) { return 1.0; }
        std::vector<std::size_t> numbers;
        for (std::size_t i = 0; i < count; ++i) { numbers.push_back(i * a.count() / count); }
        double sum = 0.0;
        const std::vector<token_ends> of_a = concepts(m_lens_a, a, numbers);
        const std::vector<token_ends> of_b = concepts(m_lens_b, b, numbers);
        for (std::size_t i = 0; i < count; ++i) {
            sum += shared_tokens(of_a[i].promotes, of_b[i].promotes);
        }
        return sum / static_cast<double>(count);
    }
    [[nodiscard]] std::vector<token_ends> concepts(const logit_lens& lens, rows<const float> all,
                                                   std::span<const std::size_t> numbers) const {
        const xt::xtensor<float, 2> some = rows_at(all, numbers);
        return lens.project(some, m_options->promoted);
    }
    void keep_least(rows<const float> a, rows<const float> b, std::span<const double> found) {
        std::vector<compared_value>& least = m_found.least;
        const std::size_t layer = m_found.layers.size();
        for (std::size_t i = 0; i < found.size(); ++i) {
            if (found[i] < 1.0) { least.push_back({{layer, i}, found[i], 0.0, {}, {}}); }
        }
        std::ranges::stable_sort(least, {}, &compared_value::cosine);
        if (least.size() > m_options->values) { least.resize(m_options->values); }
        std::vector<std::size_t> numbers;
        for (const compared_value& v : least) {
            if (v.where.layer == layer) { numbers.push_back(v.where.index); }
        }
        if (numbers.empty()) { return; }
        std::vector<token_ends> of_a = concepts(m_lens_a, a, numbers);
        std::vector<token_ends> of_b = concepts(m_lens_b, b, numbers);
        std::size_t next = 0;
        for (compared_value& v : least) {
            if (v.where.layer != layer) { continue; }
            v.a = std::move(of_a[next].promotes);
            v.b = std::move(of_b[next].promotes);
            v.promoted = shared_tokens(v.a, v.b);
            ++next;
        }
    }

    logit_lens m_lens_a;
    logit_lens m_lens_b;
    const compare_options* m_options;
    compared_values m_found;
};

}  // namespace detail

XLENS_API compared_values compare_values(const transformer<>& a, const transformer<>& b,
                                         const compare_options& options,
                                         const progress_function& progress) {
    const auto of_a = a.value_matrices();
    const auto of_b = b.value_matrices();
    detail::value_comparer comparer(a, b, options);
    xt::xtensor<float, 2> vectors_a = xt::empty<float>({of_a[0].cols(), of_a[0].rows()});
    xt::xtensor<float, 2> vectors_b = vectors_a;
    for (std::size_t l = 0; l < of_a.size(); ++l) {
        of_a[l].columns(vectors_a);
        of_b[l].columns(vectors_b);
        comparer.add(vectors_a, vectors_b);
        progress(l + 1, of_a.size());
    }
    return comparer.result();
}

#endif

}  // namespace xlens
