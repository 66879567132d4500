// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/compare/comparison.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/lens/lens_logits.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/nn/dominance.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/trace/observe.hpp>

#include <cstddef>
#include <span>
#include <vector>

#if XLENS_DEFINES(compare)
#include <xlens/compare/compare_logits.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/kernels/dot_in_double.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/trace/saturation.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#endif

namespace xlens {

/// ⟨a, b⟩ / (‖a‖·‖b‖) in double; 1 exactly for equal vectors, also of zeros, and 0 where one alone
/// is zeros.
XLENS_API double cosine(std::span<const float> a, std::span<const float> b);
/// ‖b - a‖ / ‖a‖ in double; 0 for equal vectors, infinite where a alone is zeros.
XLENS_API double relative_distance(std::span<const float> a, std::span<const float> b);

namespace detail {

/// How two lists of dominant sub-updates differ. Those whose coefficient is 0 do not count: they
/// add nothing (ReLU, experts that were not chosen).
struct dominant_difference {
    double overlap = 1.0;  ///< shared / the longer list; 1 of two empty lists
    double jaccard = 1.0;  ///< shared / all
    double change = 0.0;   ///< Σ |m_B - m_A| / |m_A| of the shared ones
    std::size_t shared = 0;
};
XLENS_API dominant_difference compare_dominant(std::span<const sub_update> a,
                                               std::span<const sub_update> b);

/// Collects what two models of one shape do, layer by layer: sums in double, in the order of the
/// positions.
class layer_collector {
public:
    layer_collector(const transformer<>& a, const transformer<>& b)
        : m_lens_a(a), m_lens_b(b), m_sums(a.blocks.size()) {}

    /// What a pass of both did, of its `count` rows from `skip` on; `logits_a` and `logits_b`
    /// (count, V) are overwritten. `position` is that of the pass's first row. Cost: an unembedding
    /// a layer, row and model.
    void add(const observe& a, const observe& b, std::size_t skip, std::size_t position,
             rows<float> logits_a, rows<float> logits_b);
    [[nodiscard]] std::vector<layer_difference> layers() const;
    [[nodiscard]] saturation_difference saturation() const;

private:
    struct sums : layer_difference {
        std::size_t shared = 0;
    };
    void add_layer(std::size_t l, rows<const float> a, rows<const float> b, rows<float> logits_a,
                   rows<float> logits_b);
    void add_saturation();

    lens_logits m_lens_a;
    lens_logits m_lens_b;
    std::vector<sums> m_sums;  // a layer
    std::size_t m_positions = 0;
    saturation_difference m_saturation;
    // Top tokens of the pass, [row][layer].
    std::vector<std::vector<token_id>> m_top_a;
    std::vector<std::vector<token_id>> m_top_b;
};

}  // namespace detail

#if XLENS_DEFINES(compare)

XLENS_API double cosine(std::span<const float> a, std::span<const float> b) {
    const double squares_a = kernels::dot_in_double(a, a);
    const double squares_b = kernels::dot_in_double(b, b);
    if (squares_a == 0.0 || squares_b == 0.0) { return squares_a == squares_b ? 1.0 : 0.0; }
    // The root of a square is exact.
    return std::clamp(kernels::dot_in_double(a, b) / std::sqrt(squares_a * squares_b), -1.0, 1.0);
}

XLENS_API double relative_distance(std::span<const float> a, std::span<const float> b) {
    double squares = 0.0;
    for (std::size_t d = 0; d < a.size(); ++d) {
        const double step = double{b[d]} - double{a[d]};
        squares = std::fma(step, step, squares);
    }
    return squares == 0.0 ? 0.0 : std::sqrt(squares / kernels::dot_in_double(a, a));
}

namespace detail {

XLENS_API dominant_difference compare_dominant(std::span<const sub_update> a,
                                               std::span<const sub_update> b) {
    const auto adds = [](const sub_update& s) { return s.coefficient != 0.0F; };
    const auto count_a = static_cast<std::size_t>(std::ranges::count_if(a, adds));
    const auto count_b = static_cast<std::size_t>(std::ranges::count_if(b, adds));
    dominant_difference out;
    if (count_a + count_b == 0) { return out; }
    for (const sub_update& s : a) {
        const auto same = [&](const sub_update& o) { return o.where == s.where; };
        const auto other = std::ranges::find_if(b, same);
        if (!adds(s) || other == b.end() || !adds(*other)) { continue; }
        ++out.shared;
        out.change += std::abs(double{other->coefficient} - double{s.coefficient}) /
                      std::abs(double{s.coefficient});
    }
    const auto shared = static_cast<double>(out.shared);
    out.overlap = shared / static_cast<double>(std::max(count_a, count_b));
    out.jaccard = shared / static_cast<double>(count_a + count_b - out.shared);
    return out;
}

XLENS_API void layer_collector::add(const observe& a, const observe& b, std::size_t skip,
                                    std::size_t position, rows<float> logits_a,
                                    rows<float> logits_b) {
    const std::size_t count = logits_a.count();
    for (const observe* seen : {&a, &b}) {
        if (seen->layers().size() != m_sums.size()) {
            fail("compare: a pass left the model after layer {}, expected all {} layers",
                 seen->layers().size() - 1, m_sums.size());
        }
    }
    m_top_a.assign(count, {});
    m_top_b.assign(count, {});
    for (std::size_t l = 0; l < m_sums.size(); ++l) {
        const auto of = [&](const observe& seen) {
            const auto after = rows<const float>(seen.layer(l).after).subrows(skip, count);
            check_residual(after, l, position + skip);
            return after;
        };
        add_layer(l, of(a), of(b), logits_a, logits_b);
        for (std::size_t t = 0; t < count; ++t) {
            const dominant_difference d =
                compare_dominant(a.layer(l).dominant[skip + t], b.layer(l).dominant[skip + t]);
            m_sums[l].overlap += d.overlap;
            m_sums[l].jaccard += d.jaccard;
            m_sums[l].coefficient_change += d.change;
            m_sums[l].shared += d.shared;
        }
    }
    m_positions += count;
    add_saturation();
}

XLENS_API void layer_collector::add_layer(std::size_t l, rows<const float> a, rows<const float> b,
                                          rows<float> logits_a, rows<float> logits_b) {
    m_lens_a(a, logits_a);
    m_lens_b(b, logits_b);
    sums& to = m_sums[l];
    std::size_t t = 0;
    for (const logit_difference& d : compare_logit_rows(logits_a, logits_b)) {
        to.kl += d.kl;
        to.agreement += d.same_top() ? 1.0 : 0.0;
        to.cosine += cosine(a[t], b[t]);
        to.distance += relative_distance(a[t], b[t]);
        m_top_a[t].push_back(d.top_a);
        m_top_b[t].push_back(d.top_b);
        ++t;
    }
}

XLENS_API void layer_collector::add_saturation() {
    for (std::size_t t = 0; t < m_top_a.size(); ++t) {
        const std::size_t a = saturation_layer(m_top_a[t]);
        const std::size_t b = saturation_layer(m_top_b[t]);
        m_saturation.a += static_cast<double>(a);
        m_saturation.b += static_cast<double>(b);
        m_saturation.unchanged += a == b ? 1.0 : 0.0;
    }
}

XLENS_API std::vector<layer_difference> layer_collector::layers() const {
    const auto positions = static_cast<double>(m_positions);
    std::vector<layer_difference> out;
    for (const sums& of : m_sums) {
        layer_difference& l = out.emplace_back(of);
        for (double* sum : {&l.kl, &l.agreement, &l.cosine, &l.distance, &l.overlap, &l.jaccard}) {
            *sum /= positions;
        }
        l.coefficient_change = of.shared == 0
                                   ? std::numeric_limits<double>::quiet_NaN()
                                   : of.coefficient_change / static_cast<double>(of.shared);
    }
    return out;
}

XLENS_API saturation_difference layer_collector::saturation() const {
    const auto positions = static_cast<double>(m_positions);
    saturation_difference out = m_saturation;
    out.a /= positions;
    out.b /= positions;
    out.unchanged /= positions;
    out.shift = out.b - out.a;
    return out;
}

}  // namespace detail

#endif

}  // namespace xlens
