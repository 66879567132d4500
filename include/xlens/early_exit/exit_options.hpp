// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/early_exit/classifier.hpp>
#include <xlens/early_exit/cluster.hpp>
#include <xlens/early_exit/fit_rules.hpp>
#include <xlens/early_exit/lens_reader.hpp>
#include <xlens/lens/linear_lens.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <xlens/core/error.hpp>
#endif

namespace xlens::early_exit {

/// How rules are fitted (`fit`, `fit_several`) and measured (`evaluate`).
struct exit_options {
    double agreement = 0.95;            ///< share of tokens that must be the whole model's: (0, 1)
    exit_lens lens = exit_lens::plain;  ///< what the rules with rule_facts::lens read with
    /// The lens that they read with instead, fitted elsewhere (lens/lens_file.hpp).
    std::optional<linear_lens> given_lens = {};
    classifier_input reads = classifier_input::residual;  ///< what the rule `classifier` looks at
    /// Where gate, classifier and the rules with a lens decide, ascending; empty: default_layers.
    std::vector<std::size_t> layers = {};
    std::optional<cluster_match> clusters = {};  ///< what `cluster` is fitted from (cluster_rule)
    std::size_t window = 512;                    ///< tokens that are read together
    std::vector<token_id> prefix =
        {};                 ///< what each window begins with, and counts (model::prefix)
    std::size_t timed = 0;  ///< tokens that are decoded one by one for the times; 0: none
    bool verify = false;    ///< they are decoded with exits that are verified (time_verified)
    std::size_t curve = 0;  ///< thresholds to report beside the one that is used
    /// Reads the vocabulary for rules that are fitted; empty: the model's logit lens.
    lens_read read = {};
    std::string_view text = "text";   ///< what errors call the text
    progress_function progress = {};  ///< counts the tokens of each reading of a text
};

/// Throws xlens::error unless layers ascend and none of them is the last.
XLENS_API void check_layers(std::span<const std::size_t> at, std::size_t layers);

/// Throws xlens::error for what no model can do.
XLENS_API void check(const exit_options& options, std::size_t layers);

#if XLENS_DEFINES(early_exit)

XLENS_API void check_layers(std::span<const std::size_t> at, std::size_t layers) {
    for (std::size_t i = 0; i < at.size(); ++i) {
        if (at[i] + 1 < layers && (i == 0 || at[i] > at[i - 1])) { continue; }
        fail("layers: expected ascending layers below {}, got {}", layers - 1, joined(at, ","));
    }
}

XLENS_API void check(const exit_options& options, std::size_t layers) {
    check_layers(options.layers, layers);
    if (options.window == 0) { fail("window: expected at least 1 token, got 0"); }
    if (!(options.agreement > 0.0 && options.agreement < 1.0)) {
        fail("agreement: expected between 0 and 1, got {}", options.agreement);
    }
}

#endif

}  // namespace xlens::early_exit
