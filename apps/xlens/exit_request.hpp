// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/early_exit/exit_options.hpp>

#include <optional>
#include <string>
#include <vector>

namespace xlens::program {

/// What `xlens exit` is asked for: the words that stand for rules, and the library's options, whose
/// `clusters` and `progress` the engine fills.
struct exit_request {
    std::vector<std::string> rules;       ///< names, or files that `exit fit` wrote
    std::optional<std::string> clusters;  ///< file of `xlens cluster`
    early_exit::exit_options options;
};

}  // namespace xlens::program
