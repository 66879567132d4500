// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/early_exit/exit_options.hpp>
#include <xlens/early_exit/exit_report.hpp>
#include <xlens/model/model.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <xlens/core/error.hpp>
#include <xlens/early_exit/any_rule.hpp>
#include <xlens/early_exit/evaluate.hpp>
#include <xlens/early_exit/fit.hpp>
#include <xlens/early_exit/fitted_exit.hpp>
#include <xlens/early_exit/lens_reader.hpp>
#include <xlens/early_exit/model_reader.hpp>

#include <algorithm>
#include <iterator>
#endif

namespace xlens::early_exit {

/// Measures rules by their words, at one pass: files of `save`, and names of rules, which are
/// fitted and calibrated on `text` first, or on the first half of `tokens` if that is empty, the
/// second being measured then. Rules that read the same residuals share it. A report a word. Throws
/// xlens::error as fit_several, load and evaluate do, and for a file that was fitted on `tokens`.
XLENS_API std::vector<exit_report> evaluate_words(const model& m, std::span<const token_id> tokens,
                                                  std::span<const std::string> words,
                                                  exit_options options = {},
                                                  std::span<const token_id> text = {});

#if XLENS_DEFINES(early_exit)

XLENS_API std::vector<exit_report> evaluate_words(const model& m, std::span<const token_id> tokens,
                                                  std::span<const std::string> words,
                                                  exit_options options,
                                                  std::span<const token_id> text) {
    if (!options.read) { options.read = remembering(lens_read_of(m)); }
    const auto is_name = [](const std::string& word) { return find_rule(word) != nullptr; };
    std::vector<std::string> names;
    std::ranges::copy_if(words, std::back_inserter(names), is_name);
    const bool splits = !names.empty() && text.empty();
    const std::span<const token_id> seen = splits ? halves(tokens).first : text;
    std::vector<fitted_exit> fitted = fit_several(m, seen, names, options);
    auto next = fitted.begin();
    std::vector<fitted_exit> rules;
    for (const std::string& word : words) {
        rules.push_back(is_name(word) ? std::move(*next++) : load(word, m, options.read));
        check_other_text(rules.back(), tokens, options.text);
    }
    const auto measured = splits ? halves(tokens).second : tokens;
    std::vector<exit_report> out = evaluate(m, measured, rules, options);
    for (std::size_t r = 0; r < out.size(); ++r) {
        if (is_name(words[r])) { out[r].fitted = seen.size(); }
    }
    return out;
}

#endif

}  // namespace xlens::early_exit
