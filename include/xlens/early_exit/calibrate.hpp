// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <xlens/core/error.hpp>
#include <xlens/numerics/bounds.hpp>

#include <algorithm>
#endif

namespace xlens::early_exit {

/// What a rule said of one held-out position: a score at each layer where it decides, and whether
/// what is read there agrees with the whole model.
struct exit_trial {
    struct look {
        std::size_t layer = 0;
        float score = 0.0F;
        bool agrees = false;
    };
    std::vector<look> looks;  ///< in the order of the layers

    /// The first look that reaches the threshold; none: the position runs in full.
    [[nodiscard]] const look* exit(float threshold) const;
};

/// All finite scores, the surest first.
XLENS_API std::vector<float> falling_scores(std::span<const exit_trial> trials);

/// The lowest threshold whose disagreement is below 1 - agreement with confidence 1 - delta.
/// Thresholds are tried from the surest down, `steps` of them at equal parts of the scores, and the
/// first that fails the test ends the search (fixed-sequence testing, as in "Learn then test",
/// Angelopoulos et al. 2021, 2110.01052), so that trying many costs no confidence. The promise
/// holds for positions drawn like the trials; neighbours in a text are not independent, which it
/// ignores. +infinity (never exits) if even the surest fails.
XLENS_API float calibrate(std::span<const exit_trial> trials, double agreement, double delta = 0.05,
                          std::size_t steps = 200);

#if XLENS_DEFINES(early_exit)

XLENS_API const exit_trial::look* exit_trial::exit(float threshold) const {
    const auto found =
        std::ranges::find_if(looks, [&](const look& l) { return l.score >= threshold; });
    return found == looks.end() ? nullptr : &*found;
}

XLENS_API std::vector<float> falling_scores(std::span<const exit_trial> trials) {
    std::vector<float> out;
    for (const exit_trial& t : trials) {
        for (const exit_trial::look& l : t.looks) {
            if (std::isfinite(l.score)) { out.push_back(l.score); }
        }
    }
    std::ranges::sort(out, std::greater<>());
    return out;
}

XLENS_API float calibrate(std::span<const exit_trial> trials, double agreement, double delta,
                          std::size_t steps) {
    if (!(agreement >= 0.0 && agreement < 1.0)) {
        fail("agreement: expected from 0 up to but not 1, got {}", agreement);
    }
    const std::vector<float> scores = falling_scores(trials);
    float chosen = std::numeric_limits<float>::infinity();
    for (std::size_t step = 1; step <= steps && !scores.empty(); ++step) {
        const float threshold = scores[(scores.size() * step - 1) / steps];
        std::size_t wrong = 0;
        for (const exit_trial& t : trials) {
            const exit_trial::look* out = t.exit(threshold);
            wrong += out != nullptr && !out->agrees ? 1U : 0U;
        }
        if (clopper_pearson_upper(wrong, trials.size(), delta) > 1.0 - agreement) { break; }
        chosen = threshold;
    }
    return chosen;
}

#endif

}  // namespace xlens::early_exit
