// SPDX-License-Identifier: BSD-3-Clause
#include "engine_parts.hpp"

#include "exit_request.hpp"

#include <xlens/concepts/clusters_json.hpp>
#include <xlens/early_exit/early_exit.hpp>
#include <xlens/early_exit/exit_splits.hpp>
#include <xlens/early_exit/fit_cluster.hpp>
#include <xlens/early_exit/fit_exit.hpp>
#include <xlens/early_exit/time_exit.hpp>
#include <xlens/storage/fingerprint.hpp>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
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

any_rule rule_with_lens(std::string_view name, const lens_read& read, linear_lens lens,
                        std::vector<std::size_t> layers) {
    lens_reader reader(read, std::move(lens));
    if (name == confidence::name) { return {confidence(std::move(reader), std::move(layers))}; }
    if (name == margin::name) { return {margin(std::move(reader), std::move(layers))}; }
    if (name == stable::name) { return {stable(std::move(reader), std::move(layers))}; }
    if (name == similarity::name) { return {similarity(std::move(reader), std::move(layers))}; }
    return {oracle(std::move(reader), std::move(layers))};
}

/// The words of --rule: a file that exists is one whatever its name.
std::vector<std::string> words_of(const std::string& text) {
    if (std::filesystem::exists(text)) { return {text}; }
    std::vector<std::string> out;
    std::size_t begin = 0;
    for (std::size_t comma = 0; comma != std::string::npos; begin = comma + 1) {
        comma = text.find(',', begin);
        out.push_back(text.substr(begin, comma - begin));
    }
    return out;
}
bool is_name(std::string_view word) {
    return std::ranges::any_of(rule_words, [&](const rule_word& w) { return w.name == word; });
}
cluster_match empty_cluster_rule(const xlens::transformer<>& model, std::uint64_t hash,
                                 const std::string& path) {
    std::vector<std::vector<float>> norms;
    for (const auto& n : model.value_norms()) { norms.emplace_back(n.begin(), n.end()); }
    const clusters found = read_clusters(path, hash, model.config.layers, model.config.inner_width);
    return {cluster_numbers(found, path), std::move(norms)};
}

/// Fits rules by name on one text; those that read with a lens share it.
class rule_fits {
public:
    rule_fits(const xlens::transformer<>& model, std::uint64_t hash,
              std::span<const token_id> tokens, const exit_request& request, lens_read read,
              const engine::progress& report)
        : m_model(&model),
          m_hash(hash),
          m_tokens(tokens),
          m_request(&request),
          m_read(std::move(read)),
          m_report(&report),
          m_layers(layers_of(request.layers, model.config.layers)) {}

    any_rule operator()(std::string_view word) {
        if (word == cluster_match::name) {
            cluster_match rule = empty_cluster_rule(*m_model, m_hash, *m_request->clusters);
            fit_cluster(
                rule, gather_cluster_items(*m_model, m_tokens, m_request->window, rule, *m_report));
            return {std::move(rule)};
        }
        if (word == classifier::name) {
            const classifier_input input = input_of(*m_request);
            const exit_examples e = examples(input != classifier_input::residual);
            return {fit_classifier(e, saturation_of(*m_model, e), input)};
        }
        if (word == gate::name) { return {fit_gate(*m_model, examples(false), quiet)}; }
        if (!m_lens) {
            m_lens = linear_lens();
            if (const exit_lens kind = lens_of(*m_request); kind != exit_lens::plain) {
                const exit_examples e = examples(false);
                m_lens = fit_lens(*m_model, e, e.count(), kind, quiet);
            }
        }
        return rule_with_lens(word, m_read, *m_lens, m_layers);
    }

private:
    static void quiet(std::size_t, std::size_t) {}
    [[nodiscard]] exit_examples examples(bool updates) const {
        return gather_examples(*m_model, m_tokens, m_request->window, m_layers, updates, *m_report);
    }

    const xlens::transformer<>* m_model;
    std::uint64_t m_hash;
    std::span<const token_id> m_tokens;
    const exit_request* m_request;
    lens_read m_read;
    const engine::progress* m_report;
    std::vector<std::size_t> m_layers;
    std::optional<linear_lens> m_lens;
};

float threshold_of(const any_rule& rule, std::span<const exit_trial> trials, double agreement) {
    // Both say yes or no: there is nothing to calibrate.
    if (rule.word() == oracle::name || rule.word() == cluster_match::name) { return 1.0F; }
    return calibrate(trials, agreement);
}

exit_report measure(const xlens::transformer<>& model, fitted_exit& fitted,
                    std::span<const exit_trial> trials, std::span<const token_id> tokens,
                    const exit_request& request) {
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
    for (const exit_point& p : exit_curve(trials, model.config.layers, request.curve)) {
        out.curve.push_back({p.threshold, p.summary.agreement(), p.summary.saved_layers()});
    }
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
    for (const std::string& word : words_of(request.rule)) {
        if (!is_name(word) && !std::filesystem::exists(word)) {
            fail(
                "--rule: expected gate, confidence, margin, stable, similarity, classifier, "
                "cluster, oracle or a file of 'exit fit', got '{}'",
                printable(word));
        }
        if (word == cluster_match::name && !request.clusters) {
            fail("--clusters: the rule 'cluster' needs a file of 'xlens cluster', got nothing");
        }
    }
    static_cast<void>(layers_of(request.layers, config().layers));
}

exit_report engine::fit_exit(std::span<const token_id> tokens, const exit_request& request,
                             const std::string& path, const progress& report) const {
    constexpr std::size_t least = 64;
    if (tokens.size() < least) {
        fail("--file: {} tokens, expected at least {}", tokens.size(), least);
    }
    if (!is_name(request.rule)) {
        fail("--rule: exit fit takes the name of one rule, got '{}'", printable(request.rule));
    }
    if (request.rule == oracle::name) {
        fail("--rule: 'oracle' knows the answers and cannot be fitted; measure it with exit eval");
    }
    const std::uint64_t hash = m_parts->model.fingerprint();
    exit_writer to(path, hash);
    const auto& model = m_parts->model;
    const std::size_t fitted = tokens.size() / 5 * 4;
    rule_fits fit(model, hash, tokens.first(fitted), request, lens_read_of(model), report);
    any_rule rule = fit(request.rule);
    const auto held = tokens.subspan(fitted);
    const auto trials = exit_trials(model, held, request.window, rule, report);
    fitted_exit out{std::move(rule), 0.0F, request.agreement, hash_of(tokens)};
    out.threshold = threshold_of(out.rule, trials, request.agreement);
    save_exit(out, to);
    exit_report result = measure(model, out, trials, held, request);
    result.fitted = fitted;
    return result;
}

std::vector<exit_report> engine::evaluate_exit(std::span<const token_id> tokens,
                                               std::span<const token_id> fit,
                                               const exit_request& request,
                                               const progress& report) const {
    const std::vector<std::string> words = words_of(request.rule);
    const bool fits = std::ranges::any_of(words, is_name);
    const std::size_t half = fits && fit.empty() ? tokens.size() / 2 : 0;
    const auto seen = fit.empty() ? tokens.first(half) : fit;
    const auto measured = tokens.subspan(half);
    const std::uint64_t hash = m_parts->model.fingerprint();
    const auto& model = m_parts->model;
    const lens_read read = remembering(lens_read_of(model));
    const std::size_t fitted = seen.size() / 5 * 4;
    rule_fits fit_one(model, hash, seen.first(fitted), request, read, report);
    std::vector<any_rule> rules;
    std::vector<fitted_exit> out;
    for (const std::string& word : words) {
        if (is_name(word)) {
            rules.push_back(fit_one(word));
            out.push_back({rules.back(), 1.0F, request.agreement, 0});
            continue;
        }
        out.push_back(load_exit(word, hash, sizes_of(config()), read));
        if (out.back().fitted_on == hash_of(tokens)) {
            fail("--file: the rule was fitted on this very text; measure on another");
        }
        rules.push_back(out.back().rule);
    }
    if (fits) {
        const auto trials = exit_trials(model, seen.subspan(fitted), request.window,
                                        std::span(rules), read, report);
        for (std::size_t r = 0; r < rules.size(); ++r) {
            if (!is_name(words[r])) { continue; }
            out[r].threshold = threshold_of(rules[r], trials[r], request.agreement);
        }
    }
    const auto trials =
        exit_trials(model, measured, request.window, std::span(rules), read, report);
    std::vector<exit_report> reports;
    for (std::size_t r = 0; r < rules.size(); ++r) {
        reports.push_back(measure(model, out[r], trials[r], measured, request));
        if (is_name(words[r])) { reports.back().fitted = seen.size(); }
    }
    return reports;
}

std::vector<split_row> engine::exit_table(std::span<const token_id> tokens,
                                          std::span<const std::uint64_t> seeds,
                                          const exit_request& request,
                                          const progress& report) const {
    const auto& model = m_parts->model;
    std::vector<std::size_t> layers(config().layers - 1);
    std::iota(layers.begin(), layers.end(), std::size_t{0});
    const cluster_match empty =
        empty_cluster_rule(model, m_parts->model.fingerprint(), *request.clusters);
    const auto items = gather_cluster_items(model, tokens, request.window, empty, report);
    const exit_examples e = gather_examples(model, tokens, request.window, layers, true, report);
    return exit_splits(e, items, empty, seeds, report);
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
        m_parts->exit = fitted_exit{
            rule_with_lens(rule, lens_read_of(m_parts->model), {}, layers_of("", config().layers)),
            *word.threshold, 0.0, 0};
        return;
    }
    m_parts->exit = load_exit(rule, m_parts->model.fingerprint(), sizes_of(config()),
                              lens_read_of(m_parts->model));
}

}  // namespace xlens::program
