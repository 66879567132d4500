// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/interventions/direction_set.hpp>
#include <xlens/model/model.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/core/layer.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/interventions/pair_geometry.hpp>
#include <xlens/model/state.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/trace/keep_sites.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#endif

namespace xlens {

/// Two texts that differ in what a direction is to be of.
struct text_pair {
    std::vector<token_id> positive;
    std::vector<token_id> negative;
};

/// How a direction is made of the differences δ_i = x⁺_i - x⁻_i of pairs.
enum class direction_method {
    mean,  ///< Σ δ_i / n
    /// The first principal component of ±δ_i, which is that of δ about zero, as long as the mean
    /// of the differences along it, towards the positive texts (repeng's pca_center; llama.cpp's
    /// cvector-generator, but for length and sign).
    pca,
};

/// What of a text is read: its last position, or the mean over its positions but the first, whose
/// residual is like no other's.
enum class direction_position { last, mean };

struct fit_directions_options {
    hook site = hook::after;               ///< or before
    std::vector<std::size_t> layers = {};  ///< none: all
    direction_position position = direction_position::last;
    direction_method method = direction_method::mean;
    std::size_t folds = 10;           ///< of the separation: pair i is held out in fold i mod folds
    std::size_t random = 100;         ///< random directions a fold
    std::uint64_t seed = 0;           ///< of these
    progress_function progress = {};  ///< counts texts that were read
};

/// How well the direction of a layer separates pairs that it was not made of.
struct direction_separation {
    std::size_t layer = 0;
    double length = 0.0;    ///< ‖d‖
    double held_out = 0.0;  ///< share of held-out pairs whose positive text is further along; ties
                            ///< count half
    double margin = 0.0;    ///< mean/deviation of ⟨d/‖d‖, δ⟩ over held-out pairs
    /// The same of random directions with the covariance of the texts, each turned so that it
    /// points to the positive texts of the pairs that are not held out: their mean share, and the
    /// share that one in twenty reaches.
    double random = 0.0;
    double random_high = 0.0;
};

struct fitted_directions {
    direction_set set;
    /// By layer; empty with one pair, where none can be held out.
    std::vector<direction_separation> separation;
};

/// Directions of pairs of texts at one site of some layers, each text read once. Sums in double, in
/// the order of the pairs: the same bits for any number of threads. Throws xlens::error without
/// pairs, for an empty text, a text that does not fit the model, a layer that there is not or that
/// is given twice, a site but before and after, texts that do not differ, and of `pca` where there
/// is no one first component.
[[nodiscard]] XLENS_API fitted_directions fit_directions(
    const model& m, std::span<const text_pair> pairs, const fit_directions_options& options = {});

#if XLENS_DEFINES(interventions)

namespace detail {

inline void check_fit(const model& m, std::span<const text_pair> pairs,
                      const fit_directions_options& options) {
    if (options.site != hook::before && options.site != hook::after) {
        fail("directions: expected hook::before or hook::after");
    }
    if (pairs.empty()) { fail("directions: expected at least 1 pair, got 0"); }
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        for (const auto* text : {&pairs[i].positive, &pairs[i].negative}) {
            const char* side = text == &pairs[i].positive ? "positive" : "negative";
            const std::size_t least = options.position == direction_position::mean ? 2 : 1;
            if (text->size() < least || text->size() > m.config.context) {
                fail("directions: pair {}: {}: {} tokens, expected {} to {}", i, side, text->size(),
                     least, m.config.context);
            }
        }
    }
    for (std::size_t k = 0; k < options.layers.size(); ++k) {
        const std::size_t l = options.layers[k];
        check_layer("directions", l, m.config.layers);
        if (std::ranges::count(options.layers, l) > 1) {
            fail("directions: layer {} is given twice", l);
        }
    }
    if (options.folds < 2) { fail("directions: expected at least 2 folds, got {}", options.folds); }
}

/// What a direction is made of in a text: (D).
inline void read_position(rows<const float> x, direction_position which, std::span<double> out) {
    if (which == direction_position::last) {
        std::ranges::copy(x[x.count() - 1], out.begin());
        return;
    }
    for (std::size_t t = 1; t < x.count(); ++t) {
        for (std::size_t d = 0; d < out.size(); ++d) { out[d] += double{x[t][d]}; }
    }
    for (double& v : out) { v /= static_cast<double>(x.count() - 1); }
}

/// Of each layer (2n, D): rows 2i and 2i + 1 are the positive and the negative text of pair i.
inline std::vector<xt::xtensor<double, 2>> texts_of_pairs(const model& m,
                                                          std::span<const text_pair> pairs,
                                                          std::span<const std::size_t> layers,
                                                          const fit_directions_options& options) {
    std::vector<layer_site> places;
    for (const std::size_t l : layers) { places.push_back({options.site, l}); }
    keep_sites keep(places);
    const std::size_t width = m.config.width;
    std::vector<xt::xtensor<double, 2>> out(layers.size(),
                                            xt::zeros<double>({2 * pairs.size(), width}));
    for (std::size_t row = 0; row < 2 * pairs.size(); ++row) {
        const text_pair& pair = pairs[row / 2];
        sequence_state state = m.start();
        state.wanted = logit_rows::none;
        m.forward(state, row % 2 == 0 ? pair.positive : pair.negative, keep);
        for (std::size_t k = 0; k < layers.size(); ++k) {
            read_position(keep.kept(k), options.position, {&out[k](row, 0), width});
        }
        options.progress(row + 1, 2 * pairs.size());
    }
    return out;
}

}  // namespace detail

XLENS_API fitted_directions fit_directions(const model& m, std::span<const text_pair> pairs,
                                           const fit_directions_options& options) {
    detail::check_fit(m, pairs, options);
    std::vector<std::size_t> layers = options.layers;
    if (layers.empty()) {
        layers.resize(m.config.layers);
        std::iota(layers.begin(), layers.end(), std::size_t{0});
    }
    const auto texts = detail::texts_of_pairs(m, pairs, layers, options);
    const bool pca = options.method == direction_method::pca;
    fitted_directions out;
    out.set.site = options.site;
    out.set.method = pca ? "pca" : "mean";
    out.set.position = options.position == direction_position::last ? "last" : "mean";
    out.set.pairs = pairs.size();
    out.set.layers = m.config.layers;
    out.set.fingerprint = m.fingerprint();
    out.set.hint = architecture_hint(m.config);
    for (std::size_t k = 0; k < layers.size(); ++k) {
        const pair_geometry geometry(texts[k]);
        const std::vector<double> d = geometry.direction(pca);
        double squares = 0.0;
        for (const double x : d) { squares += x * x; }
        const double length = std::sqrt(squares);
        if (!(length > 0.0) || !std::isfinite(length)) {
            fail("directions: layer {}: expected texts that differ, got a difference of length {}",
                 layers[k], length);
        }
        out.set.of.emplace(layers[k], std::vector<float>(d.begin(), d.end()));
        if (pairs.size() == 1) { continue; }
        const held_out_pairs tried =
            geometry.hold_out(pca, std::min(options.folds, pairs.size()), options.random,
                              splitmix64::of(options.seed, layers[k]));
        out.separation.push_back(
            {layers[k], length, tried.share, tried.margin, tried.random, tried.random_high});
    }
    return out;
}

#endif

}  // namespace xlens
