// SPDX-License-Identifier: BSD-3-Clause
#include "engine_parts.hpp"

#include "exit_request.hpp"

#include <xlens/early_exit/cluster_rule.hpp>
#include <xlens/early_exit/evaluate_words.hpp>
#include <xlens/early_exit/fit.hpp>
#include <xlens/early_exit/paper_table.hpp>

#include <string>
#include <utility>
#include <vector>

// What early_exit/ does, on the engine's model.

namespace xlens::program {

using namespace early_exit;

namespace {

exit_options options_of(const exit_request& request, const xlens::model& model,
                        const engine::progress& report) {
    exit_options out = request.options;
    if (request.clusters) { out.clusters = cluster_rule(model, *request.clusters); }
    out.progress = report;
    return out;
}

}  // namespace

exit_report engine::fit_exit(std::span<const token_id> tokens, const exit_request& request,
                             const std::string& path, const progress& report) const {
    const xlens::model& model = m_parts->model;
    exit_writer to(path, model.fingerprint());
    fit_result found =
        fit(model, tokens, request.rules.front(), options_of(request, model, report));
    save(found.exit, to);
    return std::move(found.held_back);
}

std::vector<exit_report> engine::evaluate_exit(std::span<const token_id> tokens,
                                               std::span<const token_id> text,
                                               const exit_request& request,
                                               const progress& report) const {
    const xlens::model& model = m_parts->model;
    return evaluate_words(model, tokens, request.rules, options_of(request, model, report), text);
}

std::vector<split_row> engine::exit_table(std::span<const token_id> tokens,
                                          std::span<const std::uint64_t> seeds,
                                          const exit_request& request,
                                          const progress& report) const {
    return paper_table(m_parts->model, tokens, cluster_rule(m_parts->model, *request.clusters),
                       {.seeds = {seeds.begin(), seeds.end()},
                        .window = request.options.window,
                        .progress = report});
}

void engine::use_exit(const std::string& rule) {
    const rule_facts* named = find_rule(rule);
    if (named != nullptr && named->told) {
        fail("--exit: '{}' knows the answers; measure it with exit eval", rule);
    }
    if (named != nullptr && !named->threshold) {
        fail("--exit: the rule '{}' must be fitted: give a file of 'xlens exit fit'", rule);
    }
    const xlens::model& model = m_parts->model;
    m_parts->exit = named != nullptr ? unfitted(model, rule) : load(rule, model);
}

}  // namespace xlens::program
