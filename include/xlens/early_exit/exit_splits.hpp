// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/early_exit/classifier.hpp>
#include <xlens/early_exit/cluster.hpp>
#include <xlens/early_exit/exit_examples.hpp>
#include <xlens/early_exit/exit_trials.hpp>
#include <xlens/early_exit/fit_cluster.hpp>
#include <xlens/storage/rows.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <xlens/core/error.hpp>
#include <xlens/numerics/logistic_regression.hpp>
#include <xlens/numerics/random_draws.hpp>
#include <xlens/trace/saturation.hpp>

#include <algorithm>
#include <functional>
#include <numeric>
#endif

namespace xlens::early_exit {

/// The lowest threshold at which the share of right answers among those above it is at least
/// `precision`; infinity if there is none.
XLENS_API float precise_threshold(std::span<const float> scores, std::span<const float> answers,
                                  double precision);

/// A row of the paper's table (Geva et al. 2022, section 6.2): a rule on one split after another.
struct split_row {
    std::string_view rule;
    std::vector<exit_summary> splits;
};

namespace detail {

/// 0 … count - 1 in an order that a seed decides (Fisher and Yates).
XLENS_API std::vector<std::size_t> shuffled(std::size_t count, std::uint64_t seed);

XLENS_API xt::xtensor<float, 2> rows_of(rows<const float> x, std::span<const std::size_t> which);

/// The paper's baseline on one split: a regression a layer and a threshold of its own, the lowest
/// that is right for three of four validation items. Trials of the test items, with a score of 1 at
/// the layers where they may leave.
XLENS_API std::vector<exit_trial> classifier_split(const exit_examples& e,
                                                   std::span<const cluster_item> items,
                                                   std::span<const std::size_t> saturation,
                                                   classifier_input input,
                                                   std::span<const std::size_t> order);

XLENS_API std::vector<exit_trial> cluster_split(const cluster_match& empty,
                                                std::span<const cluster_item> items,
                                                std::span<const std::size_t> order);

}  // namespace detail

/// The paper's table on items of one text: random splits, the last tenth of each for measuring. The
/// cluster rule compares with the other nine; the classifiers are fitted on eight and take their
/// thresholds from one. `e` holds residuals and updates of every layer but the last, `items` the
/// same positions. As in the paper, agreement is that of the plain lens at the exit. Throws
/// xlens::error for fewer than 10 items. Cost: a regression a layer, classifier and seed, and T²/10
/// comparisons of lists a layer for the clusters.
XLENS_API std::vector<split_row> exit_splits(const exit_examples& e,
                                             std::span<const cluster_item> items,
                                             const cluster_match& empty,
                                             std::span<const std::uint64_t> seeds,
                                             const progress_function& progress);

#if XLENS_DEFINES(early_exit)

XLENS_API float precise_threshold(std::span<const float> scores, std::span<const float> answers,
                                  double precision) {
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::greater<>(), [&](std::size_t n) { return scores[n]; });
    float out = std::numeric_limits<float>::infinity();
    double right = 0.0;
    for (std::size_t i = 0; i < order.size(); ++i) {
        right += answers[order[i]];
        const bool last_of_equals =
            i + 1 == order.size() || scores[order[i + 1]] != scores[order[i]];
        if (last_of_equals && right >= precision * static_cast<double>(i + 1)) {
            out = scores[order[i]];
        }
    }
    return out;
}

namespace detail {

XLENS_API std::vector<std::size_t> shuffled(std::size_t count, std::uint64_t seed) {
    std::vector<std::size_t> out(count);
    std::iota(out.begin(), out.end(), std::size_t{0});
    random_draws random(seed);
    for (std::size_t i = count; i > 1; --i) { std::swap(out[i - 1], out[random.below(i)]); }
    return out;
}

XLENS_API xt::xtensor<float, 2> rows_of(rows<const float> x, std::span<const std::size_t> which) {
    xt::xtensor<float, 2> out = xt::empty<float>({which.size(), x.width()});
    for (std::size_t i = 0; i < which.size(); ++i) {
        std::ranges::copy(x[which[i]], rows<float>(out)[i].begin());
    }
    return out;
}

XLENS_API std::vector<exit_trial> classifier_split(const exit_examples& e,
                                                   std::span<const cluster_item> items,
                                                   std::span<const std::size_t> saturation,
                                                   classifier_input input,
                                                   std::span<const std::size_t> order) {
    constexpr double precision = 0.75;
    const std::size_t tenth = order.size() / 10;
    const auto test = order.last(tenth);
    const auto validation = order.subspan(order.size() - 2 * tenth, tenth);
    const auto train = order.first(order.size() - 2 * tenth);
    std::vector<exit_trial> out(tenth);
    for (const auto& of_layer : e.residuals) {
        const std::size_t layer = of_layer.first;
        const auto& residual = of_layer.second;
        const auto saturated = [&](std::span<const std::size_t> which) {
            std::vector<float> answers;
            for (const std::size_t n : which) {
                answers.push_back(saturation[n] <= layer ? 1.0F : 0.0F);
            }
            return answers;
        };
        const auto features = [&](std::span<const std::size_t> which) {
            const xt::xtensor<float, 2> x = rows_of(residual, which);
            const xt::xtensor<float, 2> update = rows_of(e.updates.at(layer), which);
            return classifier::features(input, x, update);
        };
        const xt::xtensor<float, 2> seen = features(train);
        const logistic l = fit_logistic(seen, saturated(train), {.ridge = 10.0, .balanced = true});
        const auto scores = [&](std::span<const std::size_t> which) {
            const xt::xtensor<float, 2> x = features(which);
            std::vector<float> p;
            for (std::size_t i = 0; i < which.size(); ++i) {
                p.push_back(l.probability(rows<const float>(x)[i]));
            }
            return p;
        };
        const float least = precise_threshold(scores(validation), saturated(validation), precision);
        const std::vector<float> p = scores(test);
        for (std::size_t i = 0; i < tenth; ++i) {
            if (p[i] < least) { continue; }
            const std::vector<token_id>& tops = items[test[i]].tops;
            out[i].looks.push_back({layer, 1.0F, tops[layer] == tops.back()});
        }
    }
    return out;
}

XLENS_API std::vector<exit_trial> cluster_split(const cluster_match& empty,
                                                std::span<const cluster_item> items,
                                                std::span<const std::size_t> order) {
    const std::size_t tenth = order.size() / 10;
    std::vector<cluster_item> train;
    std::vector<cluster_item> test;
    for (std::size_t i = 0; i < order.size(); ++i) {
        (i < order.size() - tenth ? train : test).push_back(items[order[i]]);
    }
    cluster_match rule = empty;
    fit_cluster(rule, train);
    return cluster_trials(rule, test);
}

}  // namespace detail

XLENS_API std::vector<split_row> exit_splits(const exit_examples& e,
                                             std::span<const cluster_item> items,
                                             const cluster_match& empty,
                                             std::span<const std::uint64_t> seeds,
                                             const progress_function& progress) {
    struct baseline {
        std::string_view name;
        classifier_input input;
    };
    constexpr std::array baselines{baseline{"classifier on residual", classifier_input::residual},
                                   baseline{"classifier on update", classifier_input::update},
                                   baseline{"classifier on both", classifier_input::both}};
    if (items.size() < 10) { fail("exit table: {} items, expected at least 10", items.size()); }
    const std::size_t layers = items.front().tops.size();
    std::vector<std::size_t> saturation;
    for (const cluster_item& item : items) { saturation.push_back(saturation_layer(item.tops)); }
    std::vector<split_row> out;
    for (const baseline& b : baselines) { out.push_back({b.name, {}}); }
    out.push_back({cluster_match::name, {}});
    std::size_t done = 0;
    for (const std::uint64_t seed : seeds) {
        const std::vector<std::size_t> order = detail::shuffled(items.size(), seed);
        for (std::size_t r = 0; r < out.size(); ++r) {
            const std::vector<exit_trial> trials =
                r < baselines.size()
                    ? detail::classifier_split(e, items, saturation, baselines[r].input, order)
                    : detail::cluster_split(empty, items, order);
            out[r].splits.push_back(summarise(trials, 1.0F, layers));
            progress(++done, seeds.size() * out.size());
        }
    }
    return out;
}

#endif

}  // namespace xlens::early_exit
