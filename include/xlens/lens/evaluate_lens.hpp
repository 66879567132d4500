// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/lens/linear_lens.hpp>
#include <xlens/model/transformer.hpp>

#include <cstddef>
#include <map>
#include <span>
#include <vector>

#if XLENS_DEFINES(lens)
#include <xlens/core/aligned.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/kernels/softmax.hpp>
#include <xlens/model/each_pass.hpp>
#include <xlens/model/state.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cmath>
#endif

namespace xlens {

/// How near a layer's reading is to what the model says in the end: means over positions.
struct lens_distance {
    double kl = 0.0;         ///< KL(p_final ‖ p_layer), nats
    double agreement = 0.0;  ///< share of positions with the same top token
};

/// A layer, read plainly and through a lens.
struct lens_score {
    std::size_t layer = 0;
    lens_distance plain;
    lens_distance lens;
};

struct evaluate_lens_options {
    std::size_t window = 512;         ///< tokens that are read together
    progress_function progress = {};  ///< counts tokens
};

/// Reads a text and compares, at every layer that the lens has a map of, the distribution over the
/// vocabulary that the logit lens and the lens read after it with that of the last layer. Every
/// position counts as much. Cost: two unembeddings a position and layer. Throws xlens::error where
/// a residual or a logit is not finite.
XLENS_API std::vector<lens_score> evaluate_lens(const transformer<>& model, const linear_lens& lens,
                                                std::span<const token_id> tokens,
                                                const evaluate_lens_options& options = {});

#if XLENS_DEFINES(lens)

namespace detail {

/// Keeps what some layers leave.
class keep_layers {
public:
    static constexpr hook hooks = hook::after;
    explicit keep_layers(const linear_lens& of) : m_of(&of) {}
    void after(const site& where, rows<float> x) {
        if (m_of->has(where.layer)) { m_kept[where.layer] = x.tensor(); }
    }
    [[nodiscard]] std::map<std::size_t, xt::xtensor<float, 2>>& kept() { return m_kept; }

private:
    const linear_lens* m_of;
    std::map<std::size_t, xt::xtensor<float, 2>> m_kept;
};

/// Log-probabilities in place of logits, row by row.
inline void log_probabilities(rows<float> z) {
    parallel_for(z.count(), 8 * z.width(), [&](std::size_t t) {
        const float log_sum = kernels::log_sum_exp(z[t]);
        for (float& v : z[t]) { v -= log_sum; }
    });
}

/// Adds the rows' distances to sums. `last` and `here` are log-probabilities.
inline void add_distances(rows<const float> last, rows<const float> here, lens_distance& to) {
    std::vector<double> kl(last.count(), 0.0);
    parallel_for(last.count(), 16 * last.width(), [&](std::size_t t) {
        for (std::size_t w = 0; w < last.width(); ++w) {
            const double p = std::exp(double{last[t][w]});
            if (p > 0.0) { kl[t] += p * (double{last[t][w]} - double{here[t][w]}); }
        }
    });
    for (std::size_t t = 0; t < last.count(); ++t) {
        if (!std::isfinite(kl[t])) { fail("lens: a logit is not finite"); }
        to.kl += kl[t];
        const auto best = [](std::span<const float> z) {
            return std::ranges::max_element(z) - z.begin();
        };
        to.agreement += best(last[t]) == best(here[t]) ? 1.0 : 0.0;
    }
}

}  // namespace detail

XLENS_API std::vector<lens_score> evaluate_lens(const transformer<>& model, const linear_lens& lens,
                                                std::span<const token_id> tokens,
                                                const evaluate_lens_options& options) {
    if (tokens.empty()) { fail("lens: 0 tokens, expected at least 1"); }
    constexpr std::size_t chunk = 32;
    std::vector<lens_score> out;
    for (const auto& [layer, t] : lens.layers()) { out.push_back({layer, {}, {}}); }
    const std::size_t vocabulary = model.config.vocabulary;
    auto last = aligned_tensor::from_shape({chunk, vocabulary});
    auto here = aligned_tensor::from_shape({chunk, vocabulary});
    detail::keep_layers keep(lens);
    const auto read = [&](sequence_state& state, const text_pass& pass) {
        model.forward(state, pass.tokens, keep);
        const std::size_t count = pass.tokens.size();
        const rows<float> end = rows<float>(last).subrows(0, count);
        const rows<float> z = rows<float>(here).subrows(0, count);
        check_residual(state.residual, model.config.layers - 1, pass.position);
        model.read_out(state.residual, end);
        detail::log_probabilities(end);
        for (lens_score& s : out) {
            xt::xtensor<float, 2>& x = keep.kept().at(s.layer);
            check_residual(x, s.layer, pass.position);
            model.read_out(x, z);
            detail::log_probabilities(z);
            detail::add_distances(end, z, s.plain);
            lens.translate(s.layer, x);
            check_residual(x, s.layer, pass.position);
            model.read_out(x, z);
            detail::log_probabilities(z);
            detail::add_distances(end, z, s.lens);
        }
    };
    each_window(model, tokens, options.window, chunk, read, options.progress);
    const auto count = static_cast<double>(tokens.size());
    for (lens_score& s : out) {
        for (lens_distance* d : {&s.plain, &s.lens}) {
            d->kl /= count;
            d->agreement /= count;
        }
    }
    return out;
}

#endif

}  // namespace xlens
