// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/early_exit/calibrate.hpp>
#include <xlens/early_exit/exit_options.hpp>
#include <xlens/early_exit/exit_trials.hpp>
#include <xlens/early_exit/fitted_exit.hpp>
#include <xlens/early_exit/time_exit.hpp>
#include <xlens/model/transformer.hpp>

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <xlens/early_exit/any_rule.hpp>
#include <xlens/early_exit/exit_policy.hpp>
#include <xlens/numerics/bounds.hpp>

#include <algorithm>
#endif

namespace xlens::early_exit {

/// What a rule with its threshold agrees and saves on a text.
struct exit_report {
    std::string_view rule;
    float threshold = 0.0F;
    std::size_t fitted = 0;  ///< tokens that it was fitted on, where `fit` says it
    exit_summary seen;
    double agreement_bound = 0.0;   ///< lower 95 % bound
    std::vector<exit_point> curve;  ///< from the surest threshold down, if asked for
    timed_exit timed;               ///< ratios ascending; nothing unless asked for
};

namespace detail {

/// The report of trials on `tokens`, with the decoding that `options` asks for.
XLENS_API exit_report measured(const transformer<>& model, const fitted_exit& fitted,
                               std::span<const exit_trial> trials, std::span<const token_id> tokens,
                               const exit_options& options);

}  // namespace detail

#if XLENS_DEFINES(early_exit)

namespace detail {

XLENS_API exit_report measured(const transformer<>& model, const fitted_exit& fitted,
                               std::span<const exit_trial> trials, std::span<const token_id> tokens,
                               const exit_options& options) {
    const std::size_t layers = model.config.layers;
    exit_report out;
    out.rule = fitted.rule.word();
    out.threshold = fitted.threshold;
    out.seen = summarise(trials, fitted.threshold, layers);
    out.agreement_bound = 1.0 - clopper_pearson_upper(out.seen.positions - out.seen.agreeing,
                                                      out.seen.positions, 0.05);
    out.curve = exit_curve(trials, layers, options.curve);
    if (options.timed == 0 || fitted.rule.facts().told) { return out; }
    const auto part = tokens.first(std::min(tokens.size(), options.timed));
    if (options.verify) {
        out.timed = time_verified(model, part, options.window, fitted);
    } else {
        exit_policy policy(fitted.rule, fitted.threshold);
        out.timed = time_exit(model, part, options.window, policy, {});
    }
    std::ranges::sort(out.timed.ratios);
    return out;
}

}  // namespace detail

#endif

}  // namespace xlens::early_exit
