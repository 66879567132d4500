// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace xlens::program {

/// What `xlens exit` is asked for.
struct exit_request {
    std::string rule;  ///< names or files that `exit fit` wrote, with commas between; fit takes one
    double agreement = 0.95;
    std::string lens;                     ///< plain, linear, tuned
    std::string reads;                    ///< what a classifier looks at: residual, update, both
    std::optional<std::string> clusters;  ///< file of `xlens cluster`
    std::string layers;                   ///< "10,14,18": where lens rules and gate decide
    std::size_t window = 512;
    std::size_t timed = 256;  ///< tokens decoded for the times; 0: none
    std::size_t curve = 0;    ///< thresholds to report beside the one that is used
};

struct exit_report {
    std::string rule;
    double threshold = 0.0;
    std::size_t fitted = 0;    ///< tokens
    std::size_t measured = 0;  ///< tokens
    double agreement = 0.0;
    double agreement_bound = 0.0;  ///< lower 95 % bound
    double saved_layers = 0.0;
    double saved_fraction = 0.0;
    std::vector<std::size_t> exits;
    double seconds_full = 0.0;
    double seconds_exit = 0.0;
    std::size_t live_tokens = 0;  ///< that were decoded by each
    double live_agreement = 0.0;
    double live_saved_layers = 0.0;
    struct point {
        double threshold = 0.0;
        double agreement = 0.0;
        double saved_layers = 0.0;
    };
    std::vector<point> curve;    ///< from the surest threshold down
    std::vector<double> ratios;  ///< seconds_exit / seconds_full of each turn, ascending

    /// Share of the decoding time that exits save, decisions included; below 0 where they cost
    /// more.
    [[nodiscard]] double saved_time() const {
        return seconds_full > 0.0 ? 1.0 - seconds_exit / seconds_full : 0.0;
    }
};

}  // namespace xlens::program
