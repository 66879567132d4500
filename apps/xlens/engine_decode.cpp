// SPDX-License-Identifier: BSD-3-Clause
#include "engine_parts.hpp"

#include <xlens/early_exit/exit_policy.hpp>
#include <xlens/generate/beam.hpp>
#include <xlens/generate/generate.hpp>
#include <xlens/generate/perplexity.hpp>
#include <xlens/generate/sampling.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/interventions/make_policies.hpp>
#include <xlens/interventions/recipe_file.hpp>
#include <xlens/trace/attribution.hpp>
#include <xlens/trace/observe_updates.hpp>

#include <algorithm>
#include <utility>

// What the engine does with a prompt or a text under interventions.

namespace xlens::program {

namespace {

/// The recipe file, and the banned words as a last step of it.
recipe recipe_of(const edit_flags& edits) {
    recipe out = edits.recipe ? read_recipe(*edits.recipe) : recipe();
    if (!edits.bans.empty()) { out.steps.emplace_back(ban_step{edits.bans, {}, "--ban"}); }
    return out;
}

// After the interventions, so that it decides on what they leave.
void add_exit(const std::optional<early_exit::fitted_exit>& exit, dynamic_policies& to) {
    if (exit) { to.add(early_exit::exit_policy(exit->rule, exit->threshold)); }
}

}  // namespace

dynamic_policies policies_of(const edit_flags& edits, const xlens::model& model,
                             std::optional<std::size_t> prompt_length) {
    intervene changes;
    for (const auto& [where, value] : edits.set) { changes.set(where, value); }
    for (const auto& [where, value] : edits.scale) { changes.scale(where, value); }
    changes.check(model.sizes());
    dynamic_policies out;
    if (!changes.empty()) { out.add(std::move(changes)); }
    const recipe what = recipe_of(edits);
    if (what.empty()) { return out; }
    const tokenizer* text = model.has_tokenizer() ? &model.tokenizer() : nullptr;
    add_interventions(out, what, recipe_context{model, text, prompt_length});
    return out;
}

void engine::check(const edit_flags& edits, std::optional<std::size_t> prompt_length) const {
    static_cast<void>(policies_of(edits, m_parts->model, prompt_length));
}

std::vector<generated> engine::generate(std::span<const token_id> prompt, std::size_t count,
                                        const sampling_request& sampling, const edit_flags& edits,
                                        const token_seen& seen, attribution_log* explained) const {
    dynamic_policies policies = policies_of(edits, m_parts->model, prompt.size());
    add_exit(m_parts->exit, policies);
    observe_updates updates;
    if (explained != nullptr) { policies.borrow(updates); }
    // Called before the next pass: the record is that of the token.
    const auto tell = [&](const generated& token) {
        if (explained != nullptr) {
            explained->steps.push_back(explain(updates, token.id, explained->limit));
        }
        return seen(token);
    };
    sampler choose({.temperature = sampling.temperature,
                    .top_k = sampling.top_k,
                    .top_p = sampling.top_p,
                    .seed = sampling.seed,
                    .min_p = sampling.min_p,
                    .repetition_penalty = sampling.repetition_penalty});
    const auto stop = m_parts->model.has_tokenizer() ? text().eos() : std::nullopt;
    const auto& model = m_parts->model;
    return xlens::generate(
        model, prompt, {.count = count, .choose = choose, .stop = stop, .seen = tell}, policies);
}

std::vector<generated> engine::search_beams(std::span<const token_id> prompt, std::size_t count,
                                            const beam_request& request, const edit_flags& edits,
                                            const text_complete& complete) const {
    dynamic_policies policies = policies_of(edits, m_parts->model, prompt.size());
    const auto stop = m_parts->model.has_tokenizer() ? text().eos() : std::nullopt;
    const beam_options options{.beams = request.beams,
                               .count = count,
                               .length_penalty = request.length_penalty,
                               .stop = stop};
    auto found = xlens::beam_search(m_parts->model, prompt, options, complete, policies);
    if (found.empty()) { return {}; }
    std::vector<generated> best = std::move(found.front().tokens);
    if (stop && !best.empty() && best.back().id == *stop) { best.pop_back(); }
    return best;
}

perplexity_result engine::perplexity(std::span<const token_id> tokens,
                                     const perplexity_windows& windows, const edit_flags& edits,
                                     const progress& report) const {
    dynamic_policies policies = policies_of(edits, m_parts->model);
    add_exit(m_parts->exit, policies);
    perplexity_windows read = windows;
    if (m_parts->exit) { read.pass = 1; }
    read.progress = report;
    return xlens::perplexity(m_parts->model, tokens, read, policies);
}

}  // namespace xlens::program
