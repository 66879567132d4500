// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string_view>

namespace xlens::early_exit {

/// What there is to say of a rule beside how it decides. Messages and help are made of it, so that
/// a rule says it once, in its own file; the table of all rules is `all_rules` (any_rule.hpp).
struct rule_facts {
    std::string_view name;  ///< its word in flags and files
    std::optional<float> threshold =
        {};                   ///< to use it with where it was not fitted; none: it must be
    bool lens = false;        ///< reads the residual with a lens that may be chosen
    bool vocabulary = false;  ///< each decision costs an unembedding
    bool input = false;       ///< what it looks at may be chosen (classifier_input)
    bool clusters = false;    ///< needs clusters of the value vectors
    bool yes_or_no = false;   ///< scores are 1 and 0: there is nothing to calibrate
    bool told = false;        ///< knows the answers: it can be measured, not used
};

}  // namespace xlens::early_exit
