// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace xlens {

/// Probability of at most k successes among n draws of probability p: the lower tail of a binomial.
inline double binomial_tail(std::size_t k, std::size_t n, double p) {
    if (p <= 0.0 || k >= n) { return 1.0; }
    if (p >= 1.0) { return 0.0; }
    const auto count = static_cast<double>(n);
    double sum = 0.0;
    for (std::size_t i = 0; i <= k; ++i) {
        const auto hits = static_cast<double>(i);
        sum += std::exp(std::lgamma(count + 1.0) - std::lgamma(hits + 1.0) -
                        std::lgamma(count - hits + 1.0) + hits * std::log(p) +
                        (count - hits) * std::log1p(-p));
    }
    return std::min(sum, 1.0);
}

/// Upper end of the one-sided Clopper-Pearson interval: the rate that, were it the true one, would
/// give `failures` or fewer of `trials` with probability `delta`. 1 without trials.
inline double clopper_pearson_upper(std::size_t failures, std::size_t trials, double delta) {
    if (trials == 0 || failures >= trials) { return 1.0; }
    double low = 0.0;
    double high = 1.0;
    for (int step = 0; step < 60; ++step) {
        const double middle = 0.5 * (low + high);
        (binomial_tail(failures, trials, middle) > delta ? low : high) = middle;
    }
    return high;
}

}  // namespace xlens
