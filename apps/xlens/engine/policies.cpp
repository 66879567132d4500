// SPDX-License-Identifier: BSD-3-Clause
#include "engine/policies.hpp"
#include "engine/edit_files.hpp"

#include <xlens/early_exit/exit_policy.hpp>
#include <xlens/early_exit/fitted_exit.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/interventions/intervene.hpp>
#include <xlens/interventions/make_policies.hpp>
#include <xlens/interventions/recipe.hpp>
#include <xlens/model/model.hpp>

#include <utility>

namespace xlens::program {

dynamic_policies interventions_of(const edit_flags& edits, const xlens::model& model,
                                  const planned_run& run) {
    intervene changes;
    for (const auto& [where, value] : edits.set) { changes.set(where, value); }
    for (const auto& [where, value] : edits.scale) { changes.scale(where, value); }
    changes.check(model.sizes());
    dynamic_policies out;
    if (!changes.empty()) { out.add(std::move(changes)); }
    const recipe what = recipe_of(edits);
    if (what.empty()) { return out; }
    const tokenizer* text = model.has_tokenizer() ? &model.tokenizer() : nullptr;
    add_interventions(out, what,
                      recipe_context{model, text, run.prompt_length, run.positions, run.writes,
                                     model.fingerprint()});
    (void)files_of(edits);  // now, when they are what the policies were made of
    return out;
}

std::vector<dynamic_policies> interventions_of(const edit_flags& edits, const xlens::model& model,
                                               std::span<const file_prompt> prompts,
                                               std::size_t more, bool writes) {
    std::vector<dynamic_policies> out;
    for (const file_prompt& p : prompts) {
        const std::size_t length = p.tokens.size();
        out.push_back(interventions_of(edits, model, {length, length + more, writes}));
    }
    return out;
}

void add_exit(const engine& opened, dynamic_policies& to) {
    if (const early_exit::fitted_exit* exit = opened.exit()) {
        to.add(early_exit::exit_policy(exit->rule, exit->threshold));
    }
}

}  // namespace xlens::program
