// SPDX-License-Identifier: BSD-3-Clause
#include "engine_parts.hpp"

#include "exit_request.hpp"

#include <xlens/analysis/clusters_json.hpp>
#include <xlens/analysis/fit_cluster.hpp>
#include <xlens/analysis/fit_exit.hpp>
#include <xlens/analysis/time_exit.hpp>
#include <xlens/io/fingerprint.hpp>
#include <xlens/policy/early_exit/early_exit.hpp>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>
#include <utility>

namespace xlens::program {

namespace {

/// Rules by name, and the threshold of those that need no fit.
struct rule_word {
    std::string_view name;
    std::optional<float> threshold;
};
constexpr rule_word rule_words[] = {
    {gate::name, {}},          {confidence::name, 0.9F}, {margin::name, 0.9F},
    {stable::name, 3.0F},      {similarity::name, {}},   {classifier::name, {}},
    {cluster_match::name, {}}, {oracle::name, {}},
};

exit_sizes sizes_of(const hyperparameters& config) {
    return {config.layers, config.width, config.inner_width, config.vocabulary};
}

std::uint64_t hash_of(std::span<const token_id> tokens) {
    fnv1a hash;
    hash.add(std::as_bytes(tokens));
    return hash.value();
}

/// "10,14,18", ascending, none of them the last layer; empty: every fourth.
std::vector<std::size_t> layers_of(const std::string& text, std::size_t layers) {
    std::vector<std::size_t> out;
    if (text.empty()) {
        for (std::size_t l = layers / 4; l + 1 < layers;
             l += std::max<std::size_t>(layers / 8, 1)) {
            out.push_back(l);
        }
        return out;
    }
    for (const token_id l : parse_ids(text)) {
        const auto layer = static_cast<std::size_t>(l);
        if (layer + 1 >= layers || (!out.empty() && layer <= out.back())) {
            fail("--layers: expected ascending layers below {}, got {}", layers - 1,
                 printable(text));
        }
        out.push_back(layer);
    }
    return out;
}

/// The cluster of every neuron, (L, F); each must be in one.
std::vector<std::vector<std::uint16_t>> cluster_numbers(const clusters& from,
                                                        const std::string& path) {
    const clusters_origin& origin = from.origin();
    constexpr std::size_t most = std::numeric_limits<std::uint16_t>::max();
    if (from.count() > most) {
        fail("{}: clusters: expected at most {}, got {}", printable(path), most, from.count());
    }
    std::vector<std::vector<std::uint16_t>> out(origin.layers,
                                                std::vector<std::uint16_t>(origin.inner_width));
    for (std::size_t l = 0; l < origin.layers; ++l) {
        for (std::size_t i = 0; i < origin.inner_width; ++i) {
            const std::optional<std::size_t> id = from.of({l, i});
            if (!id) { fail("{}: clusters: neuron {}:{} is in none", printable(path), l, i); }
            out[l][i] = static_cast<std::uint16_t>(*id);
        }
    }
    return out;
}

exit_lens lens_of(const exit_request& request) {
    if (request.lens == "linear") { return exit_lens::linear; }
    return request.lens == "tuned" ? exit_lens::tuned : exit_lens::plain;
}

classifier_input input_of(const exit_request& request) {
    if (request.reads == "update") { return classifier_input::update; }
    return request.reads == "both" ? classifier_input::both : classifier_input::residual;
}

template <class Model>
any_rule rule_with_lens(std::string_view name, const Model& model, linear_lens lens,
                        std::vector<std::size_t> layers) {
    lens_reader reader(lens_read_of(model), std::move(lens));
    if (name == confidence::name) { return {confidence(std::move(reader), std::move(layers))}; }
    if (name == margin::name) { return {margin(std::move(reader), std::move(layers))}; }
    if (name == stable::name) { return {stable(std::move(reader), std::move(layers))}; }
    if (name == similarity::name) { return {similarity(std::move(reader), std::move(layers))}; }
    return {oracle(std::move(reader), std::move(layers))};
}

template <class Model>
any_rule fit_rule(const Model& model, std::uint64_t hash, std::span<const token_id> tokens,
                  const exit_request& request, const engine::progress& report) {
    const auto quiet = [](std::size_t, std::size_t) {};
    const std::vector<std::size_t> layers = layers_of(request.layers, model.config.layers);
    if (request.rule == cluster_match::name) {
        std::vector<std::vector<float>> norms;
        for (const auto& n : model.value_norms()) { norms.emplace_back(n.begin(), n.end()); }
        const clusters found =
            read_clusters(*request.clusters, hash, model.config.layers, model.config.inner_width);
        cluster_match rule(cluster_numbers(found, *request.clusters), std::move(norms));
        fit_cluster(rule, gather_cluster_items(model, tokens, request.window, rule, report));
        return {std::move(rule)};
    }
    if (request.rule == classifier::name) {
        const bool updates = input_of(request) != classifier_input::residual;
        const exit_examples e =
            gather_examples(model, tokens, request.window, layers, updates, report);
        return {fit_classifier(e, saturation_of(model, e), input_of(request))};
    }
    if (request.rule == gate::name) {
        const exit_examples e =
            gather_examples(model, tokens, request.window, layers, false, report);
        return {fit_gate(model, e, quiet)};
    }
    linear_lens lens;
    if (lens_of(request) != exit_lens::plain) {
        const exit_examples e =
            gather_examples(model, tokens, request.window, layers, false, report);
        lens = fit_lens(model, e, e.count(), lens_of(request), quiet);
    }
    return rule_with_lens(request.rule, model, std::move(lens), layers);
}

template <class Model>
std::vector<exit_trial> trials_of(const Model& model, any_rule& rule,
                                  std::span<const token_id> tokens, std::size_t window,
                                  const engine::progress& report) {
    return std::visit([&](auto& r) { return exit_trials(model, tokens, window, r, report); },
                      rule.get());
}

float threshold_of(const any_rule& rule, std::span<const exit_trial> trials, double agreement) {
    // Both say yes or no: there is nothing to calibrate.
    if (rule.word() == oracle::name || rule.word() == cluster_match::name) { return 1.0F; }
    return calibrate(trials, agreement);
}

template <class Model>
exit_report measure(const Model& model, fitted_exit& fitted, std::span<const exit_trial> trials,
                    std::span<const token_id> tokens, const exit_request& request) {
    const exit_summary seen = summarise(trials, fitted.threshold, model.config.layers);
    exit_report out;
    out.rule = fitted.rule.word();
    out.threshold = fitted.threshold;
    out.measured = seen.positions;
    out.agreement = seen.agreement();
    out.agreement_bound =
        1.0 - clopper_pearson_upper(seen.positions - seen.agreeing, seen.positions, 0.05);
    out.saved_layers = seen.saved_layers();
    out.saved_fraction = seen.saved_fraction();
    out.exits = seen.exits;
    if (request.timed == 0 || fitted.rule.word() == oracle::name) { return out; }
    early_exit policy(fitted.rule, fitted.threshold);
    const auto part = tokens.first(std::min(tokens.size(), request.timed));
    timed_exit timed =
        time_exit(model, part, request.window, policy, [](std::size_t, std::size_t) {});
    out.seconds_full = timed.seconds_full;
    out.seconds_exit = timed.seconds_exit;
    out.live_tokens = timed.tokens;
    if (timed.tokens > 0) {
        const auto count = static_cast<double>(timed.tokens);
        out.live_agreement = static_cast<double>(timed.agreeing) / count;
        out.live_saved_layers = static_cast<double>(timed.saved) / count;
    }
    out.ratios = std::move(timed.ratios);
    std::ranges::sort(out.ratios);
    return out;
}

}  // namespace

void engine::check_exit(const exit_request& request) const {
    const bool known =
        std::ranges::any_of(rule_words, [&](const rule_word& w) { return w.name == request.rule; });
    if (!known && !std::filesystem::exists(request.rule)) {
        fail(
            "--rule: expected gate, confidence, margin, stable, similarity, classifier, cluster, "
            "oracle or a file of 'exit fit', got '{}'",
            printable(request.rule));
    }
    if (request.rule == cluster_match::name && !request.clusters) {
        fail("--clusters: the rule 'cluster' needs a file of 'xlens cluster', got nothing");
    }
    static_cast<void>(layers_of(request.layers, config().layers));
}

exit_report engine::fit_exit(std::span<const token_id> tokens, const exit_request& request,
                             const std::string& path, const progress& report) const {
    constexpr std::size_t least = 64;
    if (tokens.size() < least) {
        fail("--file: {} tokens, expected at least {}", tokens.size(), least);
    }
    if (request.rule == oracle::name) {
        fail("--rule: 'oracle' knows the answers and cannot be fitted; measure it with exit eval");
    }
    const std::uint64_t hash = fingerprint(m_parts->model.file().tensors());
    exit_writer to(path, hash);
    return m_parts->model.model().visit([&](const auto& model) {
        const std::size_t fitted = tokens.size() / 5 * 4;
        any_rule rule = fit_rule(model, hash, tokens.first(fitted), request, report);
        const auto held = tokens.subspan(fitted);
        const auto trials = trials_of(model, rule, held, request.window, report);
        fitted_exit out{std::move(rule), 0.0F, request.agreement, hash_of(tokens)};
        out.threshold = threshold_of(out.rule, trials, request.agreement);
        save_exit(out, to);
        exit_report result = measure(model, out, trials, held, request);
        result.fitted = fitted;
        return result;
    });
}

exit_report engine::evaluate_exit(std::span<const token_id> tokens, const exit_request& request,
                                  const progress& report) const {
    const bool named =
        std::ranges::any_of(rule_words, [&](const rule_word& w) { return w.name == request.rule; });
    const std::uint64_t hash = fingerprint(m_parts->model.file().tensors());
    return m_parts->model.model().visit([&](const auto& model) {
        const auto measured = [&](fitted_exit fitted, std::span<const token_id> part) {
            const auto trials = trials_of(model, fitted.rule, part, request.window, report);
            return measure(model, fitted, trials, part, request);
        };
        if (!named) {
            fitted_exit fitted =
                load_exit(request.rule, hash, sizes_of(config()), lens_read_of(model));
            if (fitted.fitted_on == hash_of(tokens)) {
                fail("--file: the rule was fitted on this very text; measure on another");
            }
            return measured(std::move(fitted), tokens);
        }
        // By name: the first half fits and calibrates, the second is measured.
        const std::size_t half = tokens.size() / 2;
        const std::size_t fitted_on = half / 5 * 4;
        fitted_exit fitted{fit_rule(model, hash, tokens.first(fitted_on), request, report), 1.0F,
                           request.agreement, 0};
        const auto trials =
            trials_of(model, fitted.rule, tokens.subspan(fitted_on, half - fitted_on),
                      request.window, report);
        fitted.threshold = threshold_of(fitted.rule, trials, request.agreement);
        exit_report result = measured(std::move(fitted), tokens.subspan(half));
        result.fitted = half;
        return result;
    });
}

void engine::use_exit(const std::string& rule) {
    for (const rule_word& word : rule_words) {
        if (word.name != rule) { continue; }
        if (word.name == oracle::name) {
            fail("--exit: 'oracle' knows the answers; measure it with exit eval");
        }
        if (!word.threshold) {
            fail("--exit: the rule '{}' must be fitted: give a file of 'xlens exit fit'", rule);
        }
        m_parts->exit = m_parts->model.model().visit([&](const auto& model) {
            return fitted_exit{rule_with_lens(rule, model, {}, layers_of("", config().layers)),
                               *word.threshold, 0.0, 0};
        });
        return;
    }
    m_parts->exit = m_parts->model.model().visit([&](const auto& model) {
        return load_exit(rule, fingerprint(m_parts->model.file().tensors()), sizes_of(config()),
                         lens_read_of(model));
    });
}

}  // namespace xlens::program
