// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/sae/sparse_autoencoder.hpp>

#include <cstddef>
#include <span>
#include <vector>

#if XLENS_DEFINES(sae)
#include <xlens/core/xtensor.hpp>
#include <xlens/kernels/top_k.hpp>
#include <xlens/model/each_pass.hpp>
#include <xlens/model/state.hpp>
#include <xlens/nn/norm.hpp>
#include <xlens/sae/sae_site.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/trace/keep_sites.hpp>

#include <utility>
#endif

namespace xlens {

/// A feature that is active at a position.
struct active_feature {
    std::size_t feature = 0;
    float activation = 0.0F;
};

/// What an autoencoder sees at a position.
struct feature_position {
    std::size_t position = 0;
    std::vector<active_feature> features;  ///< the most active first
    std::size_t active = 0;                ///< how many have f_i > 0
    /// ‖x - x̂‖² / ‖x - mean‖² of what it read, mean over the width: the part not explained.
    double unexplained = 0.0;
};

struct feature_trace_options {
    std::size_t features = 10;        ///< of a position, at most
    progress_function progress = {};  ///< counts tokens
};

namespace detail {
XLENS_API std::vector<feature_position> trace_features_with(const transformer<>& model,
                                                            const sparse_autoencoder& sae,
                                                            std::span<const token_id> tokens,
                                                            const feature_trace_options& options,
                                                            dynamic_policies& policies);
}  // namespace detail

/// The features that are active at each position of a prompt. Policies run in the pass, before it
/// is observed. Throws xlens::error for an autoencoder that does not fit the model, and where what
/// it reads is no number.
template <class... P>
std::vector<feature_position> trace_features(const transformer<>& model,
                                             const sparse_autoencoder& sae,
                                             std::span<const token_id> tokens,
                                             const feature_trace_options& options = {},
                                             P&... policies) {
    dynamic_policies pack = dynamic_policies::of(policies...);
    return detail::trace_features_with(model, sae, tokens, options, pack);
}

#if XLENS_DEFINES(sae)

namespace detail {

inline double unexplained_part(std::span<const float> x, std::span<const float> rebuilt) {
    const auto width = static_cast<double>(x.size());
    double mean = 0.0;
    for (const float v : x) { mean += double{v} / width; }
    double off = 0.0;
    double whole = 0.0;
    for (std::size_t d = 0; d < x.size(); ++d) {
        off += (double{x[d]} - double{rebuilt[d]}) * (double{x[d]} - double{rebuilt[d]});
        whole += (double{x[d]} - mean) * (double{x[d]} - mean);
    }
    return off / whole;
}

inline bool has_layer_norm(const transformer<>& model) {
    return model.final_norm && model.final_norm->kind == norm_kind::layer;
}

XLENS_API std::vector<feature_position> trace_features_with(const transformer<>& model,
                                                            const sparse_autoencoder& sae,
                                                            std::span<const token_id> tokens,
                                                            const feature_trace_options& options,
                                                            dynamic_policies& policies) {
    constexpr std::size_t chunk = 32;
    sae.check(model.sizes());
    const sae_place place = sae.facts().place;
    keep_sites seen({layer_site_of(place)});
    sequence_state state = model.start();
    state.wanted = logit_rows::none;
    std::vector<feature_position> out;
    each_pass(model, state, tokens, chunk, [&](const text_pass& pass) {
        model.forward(state, pass.tokens, policies, seen);
        const rows<const float> x = seen.kept(0);
        check_residual(x, place.layer, pass.row);
        xt::xtensor<float, 2> f = xt::empty<float>({x.count(), sae.features()});
        sae.encode(x, f, has_layer_norm(model));
        xt::xtensor<float, 2> rebuilt = xt::empty<float>({x.count(), x.width()});
        sae.decode(f, rebuilt);
        for (std::size_t t = 0; t < x.count(); ++t) {
            feature_position p;
            p.position = pass.row + t;
            top_ids<std::size_t> best(options.features);
            const std::span<const float> row = rows<const float>(f)[t];
            for (std::size_t i = 0; i < row.size(); ++i) {
                if (row[i] <= 0.0F) { continue; }
                ++p.active;
                best.offer(i, row[i]);
            }
            for (const auto& [feature, activation] : best.sorted()) {
                p.features.push_back({feature, activation});
            }
            p.unexplained = unexplained_part(x[t], rows<const float>(rebuilt)[t]);
            out.push_back(std::move(p));
        }
        options.progress(pass.row + pass.tokens.size(), tokens.size());
    });
    return out;
}

}  // namespace detail

#endif

}  // namespace xlens
