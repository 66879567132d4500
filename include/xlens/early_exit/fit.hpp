// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/early_exit/any_rule.hpp>
#include <xlens/early_exit/calibrate.hpp>
#include <xlens/early_exit/exit_examples.hpp>
#include <xlens/early_exit/exit_options.hpp>
#include <xlens/early_exit/exit_report.hpp>
#include <xlens/early_exit/exit_trials.hpp>
#include <xlens/early_exit/fit_rules.hpp>
#include <xlens/early_exit/fitted_exit.hpp>
#include <xlens/early_exit/lens_reader.hpp>
#include <xlens/lens/linear_lens.hpp>
#include <xlens/model/transformer.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <xlens/core/error.hpp>
#include <xlens/early_exit/fit_cluster.hpp>
#include <xlens/early_exit/model_reader.hpp>
#include <xlens/model/each_pass.hpp>
#endif

namespace xlens::early_exit {

/// A text in two parts that have nothing in common.
struct text_split {
    std::span<const token_id> first;
    std::span<const token_id> second;
};
/// To fit on four fifths and to calibrate on the last.
[[nodiscard]] XLENS_API text_split four_fifths(std::span<const token_id> tokens);
/// To fit (and calibrate) on one half and to measure on the other.
[[nodiscard]] XLENS_API text_split halves(std::span<const token_id> tokens);

namespace detail {

/// Fits rules by name on one text; those that read with a lens share it.
class rule_fits {
public:
    rule_fits(const transformer<>& model, std::span<const token_id> tokens,
              const exit_options& options, lens_read read);

    any_rule operator()(std::string_view name);

private:
    // How each is fitted.
    any_rule fit_one(std::type_identity<exit_gate>);
    any_rule fit_one(std::type_identity<classifier>);
    any_rule fit_one(std::type_identity<cluster_match>);
    template <std::derived_from<lens_rule> Rule>
    any_rule fit_one(std::type_identity<Rule>) {
        if (!m_lens) {
            m_lens = m_options->given_lens.value_or(linear_lens());
            if (!m_options->given_lens && m_options->lens != exit_lens::plain) {
                const exit_examples e = examples(false);
                m_lens = fit_lens(*m_model, e, e.count(), m_options->lens, {});
            }
        }
        return {Rule(lens_reader(m_read, *m_lens), m_layers)};
    }
    [[nodiscard]] exit_examples examples(bool updates) const;

    const transformer<>* m_model;
    std::span<const token_id> m_tokens;
    const exit_options* m_options;
    lens_read m_read;
    std::vector<std::size_t> m_layers;
    std::optional<linear_lens> m_lens;
};

/// Rules by name with their thresholds, and the trials on the last fifth, of which these come.
struct calibrated_rules {
    std::vector<fitted_exit> rules;
    std::vector<std::vector<exit_trial>> trials;
};

XLENS_API calibrated_rules fit_and_calibrate(const transformer<>& model,
                                             std::span<const token_id> tokens,
                                             std::span<const std::string> names,
                                             const exit_options& options, const lens_read& read);

}  // namespace detail

/// Rules by name: each is fitted on the first four fifths of a text and calibrated on the last, so
/// that disagreement is below 1 - options.agreement with 95 % confidence (calibrate). They share
/// the reading of the vocabulary, and a lens where they read with one. Borrows the model. Throws
/// xlens::error for a name that no rule has, and for residuals that cannot be read.
XLENS_API std::vector<fitted_exit> fit_several(const transformer<>& model,
                                               std::span<const token_id> tokens,
                                               std::span<const std::string> names,
                                               const exit_options& options = {});

/// A fitted rule, and what it does on the fifth of the text that calibrated it.
struct fit_result {
    fitted_exit exit;
    exit_report held_back;
};

/// The fewest tokens that `fit` takes.
inline constexpr std::size_t least_fit_tokens = 64;

/// One rule, as fit_several does:
///   const auto found = early_exit::fit(model, tokens, "gate", {.agreement = 0.955});
///   early_exit::save(found.exit, "gate.exit", model);
/// Throws xlens::error also for fewer than least_fit_tokens, and for a rule that knows the answers.
XLENS_API fit_result fit(const transformer<>& model, std::span<const token_id> tokens,
                         const std::string& name, const exit_options& options = {});

#if XLENS_DEFINES(early_exit)

XLENS_API text_split four_fifths(std::span<const token_id> tokens) {
    const std::size_t count = tokens.size() / 5 * 4;
    return {tokens.first(count), tokens.subspan(count)};
}

XLENS_API text_split halves(std::span<const token_id> tokens) {
    const std::size_t count = tokens.size() / 2;
    return {tokens.first(count), tokens.subspan(count)};
}

namespace detail {

XLENS_API rule_fits::rule_fits(const transformer<>& model, std::span<const token_id> tokens,
                               const exit_options& options, lens_read read)
    : m_model(&model),
      m_tokens(tokens),
      m_options(&options),
      m_read(std::move(read)),
      m_layers(options.layers.empty() ? default_layers(model.config.layers) : options.layers) {}

XLENS_API any_rule rule_fits::operator()(std::string_view name) {
    std::optional<any_rule> out;
    with_rule(name, [&](auto rule) { out = fit_one(rule); });
    if (!out) { fail("exit rule: expected {}, got '{}'", rule_names(), printable(name)); }
    return *std::move(out);
}

XLENS_API any_rule rule_fits::fit_one(std::type_identity<exit_gate>) {
    return {fit_exit_gate(*m_model, examples(false), {})};
}

XLENS_API any_rule rule_fits::fit_one(std::type_identity<classifier>) {
    const classifier_input input = m_options->reads;
    const exit_examples e = examples(input != classifier_input::residual);
    return {fit_classifier(e, saturation_of(*m_model, e), input)};
}

XLENS_API any_rule rule_fits::fit_one(std::type_identity<cluster_match>) {
    if (!m_options->clusters) {
        fail("clusters: the rule '{}' needs them, got none", cluster_match::name);
    }
    cluster_match rule = *m_options->clusters;
    fit_cluster(rule, gather_cluster_items(*m_model, m_tokens, m_options->window, rule,
                                           m_options->progress));
    return {std::move(rule)};
}

XLENS_API exit_examples rule_fits::examples(bool updates) const {
    return gather_examples(*m_model, m_tokens, m_options->window, m_layers, updates,
                           m_options->progress);
}

XLENS_API calibrated_rules fit_and_calibrate(const transformer<>& model,
                                             std::span<const token_id> tokens,
                                             std::span<const std::string> names,
                                             const exit_options& options, const lens_read& read) {
    check(options, model.config.layers);
    if (names.empty()) { return {}; }
    const text_split parts = four_fifths(tokens);
    const auto fitted_on = with_prefixes(parts.first, options.window, options.prefix);
    const auto held_back = with_prefixes(parts.second, options.window, options.prefix);
    rule_fits fit_one(model, fitted_on, options, read);
    std::vector<any_rule> rules;
    for (const std::string& name : names) { rules.push_back(fit_one(name)); }
    calibrated_rules out;
    out.trials = exit_trials(model, held_back, options.window, std::span<any_rule>(rules), read,
                             options.progress);
    for (std::size_t r = 0; r < rules.size(); ++r) {
        const rule_facts& facts = rules[r].facts();
        const float threshold =
            facts.yes_or_no ? 1.0F : calibrate(out.trials[r], options.agreement);
        out.rules.push_back(
            {std::move(rules[r]), threshold, options.agreement, facts.told ? 0 : hash_of(tokens)});
    }
    return out;
}

}  // namespace detail

XLENS_API std::vector<fitted_exit> fit_several(const transformer<>& model,
                                               std::span<const token_id> tokens,
                                               std::span<const std::string> names,
                                               const exit_options& options) {
    const lens_read read = options.read ? options.read : remembering(lens_read_of(model));
    return detail::fit_and_calibrate(model, tokens, names, options, read).rules;
}

XLENS_API fit_result fit(const transformer<>& model, std::span<const token_id> tokens,
                         const std::string& name, const exit_options& options) {
    if (tokens.size() < least_fit_tokens) {
        fail("{}: {} tokens, expected at least {}", options.text, tokens.size(), least_fit_tokens);
    }
    if (const rule_facts* facts = find_rule(name); facts != nullptr && facts->told) {
        fail("exit fit: '{}' knows the answers and cannot be fitted", name);
    }
    const lens_read read = options.read ? options.read : lens_read_of(model);
    auto found = detail::fit_and_calibrate(model, tokens, std::span(&name, 1), options, read);
    fitted_exit& rule = found.rules.front();
    const auto held_back =
        with_prefixes(four_fifths(tokens).second, options.window, options.prefix);
    exit_report report = detail::measured(model, rule, found.trials.front(), held_back, options);
    report.fitted = four_fifths(tokens).first.size();
    return {std::move(rule), std::move(report)};
}

#endif

}  // namespace xlens::early_exit
