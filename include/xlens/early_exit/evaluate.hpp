// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/early_exit/exit_options.hpp>
#include <xlens/early_exit/exit_report.hpp>
#include <xlens/early_exit/fitted_exit.hpp>
#include <xlens/model/transformer.hpp>

#include <cstddef>
#include <span>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <xlens/core/error.hpp>
#include <xlens/early_exit/any_rule.hpp>
#include <xlens/early_exit/exit_trials.hpp>
#include <xlens/early_exit/lens_reader.hpp>
#include <xlens/early_exit/model_reader.hpp>
#include <xlens/model/each_pass.hpp>
#endif

namespace xlens::early_exit {

/// Measures rules on a text, teacher-forced, at one pass for all of them: what each agrees and
/// saves. A report a rule. Throws xlens::error for a text that one was fitted on, for fewer than 2
/// tokens and for residuals that cannot be read. Cost: a forward of the text, what the rules'
/// decisions cost, and an unembedding a position; with options.timed the decoding of so many
/// tokens, twice, a rule.
XLENS_API std::vector<exit_report> evaluate(const transformer<>& model,
                                            std::span<const token_id> tokens,
                                            std::span<const fitted_exit> rules,
                                            const exit_options& options = {});

/// One rule.
XLENS_API exit_report evaluate(const transformer<>& model, std::span<const token_id> tokens,
                               const fitted_exit& rule, const exit_options& options = {});

#if XLENS_DEFINES(early_exit)

XLENS_API std::vector<exit_report> evaluate(const transformer<>& model,
                                            std::span<const token_id> tokens,
                                            std::span<const fitted_exit> rules,
                                            const exit_options& options) {
    check(options, model.config.layers);
    if (tokens.size() < 2) {
        fail("{}: {} tokens, expected at least 2", options.text, tokens.size());
    }
    std::vector<any_rule> asked;
    for (const fitted_exit& e : rules) {
        check_other_text(e, tokens, options.text);
        asked.push_back(e.rule);
    }
    const lens_read read = options.read ? options.read : remembering(lens_read_of(model));
    const std::vector<token_id> text = with_prefixes(tokens, options.window, options.prefix);
    const auto trials = exit_trials(model, text, options.window, std::span<any_rule>(asked), read,
                                    options.progress);
    std::vector<exit_report> out;
    for (std::size_t r = 0; r < rules.size(); ++r) {
        out.push_back(detail::measured(model, rules[r], trials[r], text, options));
    }
    return out;
}

XLENS_API exit_report evaluate(const transformer<>& model, std::span<const token_id> tokens,
                               const fitted_exit& rule, const exit_options& options) {
    return evaluate(model, tokens, std::span(&rule, 1), options).front();
}

#endif

}  // namespace xlens::early_exit
