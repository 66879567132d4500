// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/early_exit/classifier.hpp>
#include <xlens/early_exit/exit_examples.hpp>
#include <xlens/early_exit/exit_gate.hpp>
#include <xlens/lens/linear_lens.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <span>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <xlens/core/error.hpp>
#include <xlens/early_exit/model_reader.hpp>
#include <xlens/lens/fit_linear_lens.hpp>
#include <xlens/lens/fit_tuned_lens.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/numerics/logistic_regression.hpp>
#include <xlens/trace/saturation.hpp>

#include <algorithm>
#include <map>
#include <numeric>
#endif

namespace xlens::early_exit {

/// Which lens a rule reads the residual with.
enum class exit_lens {
    plain,   ///< none
    linear,  ///< ridge regression
    tuned,   ///< the same, tuned for agreement
};

/// The tokens that occur most among `answers`, at most `count`, most frequent first; of equals the
/// lower id.
XLENS_API std::vector<token_id> frequent_tokens(std::span<const token_id> answers,
                                                std::size_t count);

/// Fits a lens to the layers of `e`, on its first `count` examples. `progress(done, total)` counts
/// layers.
XLENS_API linear_lens fit_lens(const transformer<>& model, const exit_examples& e,
                               std::size_t count, exit_lens kind,
                               const progress_function& progress);

struct exit_gate_options {
    std::size_t shortlist = 1024;  ///< tokens
    float least = 0.4F;            ///< probability below which the first step says no
    double lens_part = 0.75;       ///< of the examples: the lens is fitted on these …
};

/// Fits the rule `gate` to the layers of `e`. The two steps are fitted on examples that the lens
/// has not seen, since on its own it is too sure.
XLENS_API exit_gate fit_exit_gate(const transformer<>& model, const exit_examples& e,
                                  const progress_function& progress,
                                  const exit_gate_options& options = {});

/// The layer at which each example saturates: first among those of `e`, the last layer if none.
/// Cost: an unembedding an example and layer.
XLENS_API std::vector<std::size_t> saturation_of(const transformer<>& model,
                                                 const exit_examples& e);

/// Fits the paper's baselines: a layer's regression says whether a position has saturated there.
XLENS_API classifier fit_classifier(const exit_examples& e, std::span<const std::size_t> saturation,
                                    classifier_input input);

#if XLENS_DEFINES(early_exit)

XLENS_API std::vector<token_id> frequent_tokens(std::span<const token_id> answers,
                                                std::size_t count) {
    std::map<token_id, std::size_t> times;
    for (const token_id t : answers) { ++times[t]; }
    std::vector<std::pair<token_id, std::size_t>> ranked(times.begin(), times.end());
    std::ranges::stable_sort(ranked, [](auto& a, auto& b) { return a.second > b.second; });
    std::vector<token_id> out;
    for (std::size_t i = 0; i < std::min(count, ranked.size()); ++i) {
        out.push_back(ranked[i].first);
    }
    return out;
}

XLENS_API linear_lens fit_lens(const transformer<>& model, const exit_examples& e,
                               std::size_t count, exit_lens kind,
                               const progress_function& progress) {
    linear_lens out;
    if (kind == exit_lens::plain) { return out; }
    const std::vector<token_id> common = frequent_tokens(std::span(e.answers).first(count), 1500);
    const logit_lens lens(model);
    const auto directions = [&](token_id w, std::span<float> to) { lens.direction(w, to); };
    std::size_t done = 0;
    for (const auto& [layer, tensor] : e.residuals) {
        const rows<const float> x = rows<const float>(tensor).subrows(0, count);
        const rows<const float> y = rows<const float>(e.last).subrows(0, count);
        ridge_fit sums(model.config.width);
        constexpr std::size_t part = 4096;
        for (std::size_t i = 0; i < count; i += part) {
            const std::size_t some = std::min(part, count - i);
            sums.add(x.subrows(i, some), y.subrows(i, some));
        }
        translator t = sums.solve();
        if (kind == exit_lens::tuned) {
            t = tune(std::move(t), x, std::span(e.answers).first(count), common, directions);
        }
        out.set(layer, std::move(t));
        progress(++done, e.residuals.size());
    }
    return out;
}

XLENS_API exit_gate fit_exit_gate(const transformer<>& model, const exit_examples& e,
                                  const progress_function& progress,
                                  const exit_gate_options& options) {
    const auto seen = static_cast<std::size_t>(options.lens_part * static_cast<double>(e.count()));
    const std::size_t held = e.count() - seen;
    if (seen == 0 || held == 0) { fail("exit fit: {} examples, expected more", e.count()); }
    const logit_lens plain(model);
    linear_lens lens = fit_lens(model, e, seen, exit_lens::tuned, progress);
    const std::vector<token_id> tokens =
        frequent_tokens(std::span(e.answers).first(seen), options.shortlist);
    xt::xtensor<float, 2> shortlist = xt::empty<float>({tokens.size(), model.config.width});
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        plain.direction(tokens[i], rows<float>(shortlist)[i]);
    }
    exit_gate out(lens, tokens, std::move(shortlist), model.config.layers);
    for (const auto& [layer, tensor] : e.residuals) {
        const rows<const float> x = rows<const float>(tensor).subrows(seen, held);
        exit_gate::second_look look = out.look(layer, x, std::vector<float>(held));
        std::vector<float> agrees(held);
        for (std::size_t n = 0; n < held; ++n) {
            agrees[n] = look.best[n].id == e.answers[seen + n] ? 1.0F : 0.0F;
        }
        xt::xtensor<float, 2> unit = xt::empty<float>({held, model.config.width});
        unit_rms(x, unit);
        exit_gate::stage s;
        s.first = fit_logistic(unit, agrees, {.ridge = 30.0});
        s.least = std::log(options.least / (1.0F - options.least));
        std::size_t passing = 0;
        for (std::size_t n = 0; n < held; ++n) {
            const float g = s.first.log_odds(rows<const float>(unit)[n]);
            if (g < s.least) { continue; }
            look.features(n, 0) = g;
            std::ranges::copy(rows<const float>(look.features)[n],
                              rows<float>(look.features)[passing].begin());
            agrees[passing++] = agrees[n];
        }
        if (passing == 0) { continue; }
        s.second = fit_logistic(rows<const float>(look.features).subrows(0, passing),
                                std::span(agrees).first(passing));
        out.set(layer, std::move(s));
    }
    return out;
}

XLENS_API std::vector<std::size_t> saturation_of(const transformer<>& model,
                                                 const exit_examples& e) {
    std::vector<std::size_t> out(e.count(), model.config.layers - 1);
    std::vector<bool> still(e.count(), true);
    const logit_lens lens(model);
    for (auto l = e.residuals.rbegin(); l != e.residuals.rend(); ++l) {
        const std::vector<reading> read = lens.read(l->second, 1);
        for (std::size_t n = 0; n < e.count(); ++n) {
            still[n] = still[n] && top_of(read[n], l->first, n) == e.answers[n];
            if (still[n]) { out[n] = l->first; }
        }
    }
    return out;
}

XLENS_API classifier fit_classifier(const exit_examples& e, std::span<const std::size_t> saturation,
                                    classifier_input input) {
    classifier out(input);
    for (const auto& [layer, residual] : e.residuals) {
        std::vector<float> answers(e.count());
        for (std::size_t n = 0; n < e.count(); ++n) {
            answers[n] = saturation[n] <= layer ? 1.0F : 0.0F;
        }
        const auto update = e.updates.find(layer);
        const rows<const float> added =
            update == e.updates.end() ? rows<const float>() : rows<const float>(update->second);
        const xt::xtensor<float, 2> x = classifier::features(input, residual, added);
        out.set(layer, fit_logistic(x, answers, {.ridge = 10.0, .balanced = true}));
    }
    return out;
}

#endif

}  // namespace xlens::early_exit
