// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/token.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/model/undo_pass.hpp>

#include <algorithm>
#include <deque>

// The story of a pass, for any transformer: tokens become residuals, every layer adds to them, and
// what stands at the end is read.

namespace xlens {

template <class Preset, weight_matrix Weights>
template <class Pass, policy... P>
void transformer<Preset, Weights>::run(Pass& pass, P&... policies) const {
    if (!pass.tokens().empty()) {
        embedding(pass.tokens(), pass.fresh());
        if (embedding_norm) { (*embedding_norm)(pass.fresh(), pass.fresh()); }
        pass.add_positions(position);
        pass.template offer<hook::embedding>(pass.fresh(), 0, policies...);
    }
    for (std::size_t l = 0; l < blocks.size(); ++l) {
        const rows<float> x = pass.enter(l, position);
        if (x.count() == 0) { continue; }
        if (blocks[l](pass, x, position, policies...) == flow::stop) { break; }
    }
}

template <class Preset, weight_matrix Weights>
template <policy... P>
void transformer<Preset, Weights>::read_one(sequence_state& state, std::span<const token_id> tokens,
                                            P&... policies) const {
    (check_fits(policies, sizes()), ...);
    detail::undo_pass undo(state);
    detail::single_pass pass(state, tokens, layer_sizes());
    run(pass, policies...);
    leave(pass, state);
    const bool judged = tokens.empty() || state.wanted == logit_rows::completed;
    const rows<const float> x = judged && all_ran(state) ? pass.all() : pass.fresh();
    pass.end(x);
    state.residual = x.tensor();
    if (!answered(state, policies...)) {
        pass.template offer<hook::read_out>(state.residual, 0, policies...);
        compute_logits(pass.where(), state, policies...);
    }
    undo.keep();
}

template <class Preset, weight_matrix Weights>
template <policy... P>
void transformer<Preset, Weights>::read_each(std::span<sequence_state* const> states,
                                             std::span<const token_id> tokens,
                                             P&... policies) const {
    if ((... || !is_rowwise(policies))) {
        fail("forward_each: a policy looks at more than a row, or may stop");
    }
    if (tokens.size() != states.size()) {
        fail("forward_each: expected a token for each of {} sequences, got {}", states.size(),
             tokens.size());
    }
    if (states.empty()) { return; }
    for (std::size_t n = 0; n < states.size(); ++n) {
        if (states[n] == nullptr) { fail("forward_each: sequence {}: expected one, got null", n); }
        const auto before = states.first(n);
        if (std::ranges::find(before, states[n]) != before.end()) {
            fail("forward_each: sequence {} is given twice", n);
        }
        check(*states[n], tokens.subspan(n, 1));
        if (states[n]->owed.shape(0) > 0) {
            fail("forward_each: sequence {} has left layers out that it must make up for", n);
        }
    }
    (check_fits(policies, sizes()), ...);
    std::deque<detail::undo_pass> undo;
    for (sequence_state* state : states) { undo.emplace_back(*state); }
    detail::joint_pass pass(states, tokens, layer_sizes());
    run(pass, policies...);
    pass.template offer<hook::read_out>(pass.fresh(), 0, policies...);
    xt::xtensor<float, 2> logits = xt::empty<float>({states.size(), config.vocabulary});
    for (std::size_t n = 0; n < states.size(); ++n) {
        check_residual(pass.fresh().subrows(n, 1), states[n]->exit_layer, states[n]->position - 1);
    }
    read_out(pass.fresh(), logits);
    pass.template offer<hook::logits>(logits, 0, policies...);
    for (std::size_t n = 0; n < states.size(); ++n) {
        states[n]->answer.reset();
        states[n]->residual = pass.fresh().subrows(n, 1).tensor();
        states[n]->logits = rows<float>(logits).subrows(n, 1).tensor();
        undo[n].keep();
    }
}

/// Settles what the layers after the exit owe to the positions of this pass.
template <class Preset, weight_matrix Weights>
void transformer<Preset, Weights>::leave(detail::single_pass& pass, sequence_state& state) const {
    if (!all_ran(state) && state.fill == kv_fill::complete) { return state.owe(pass.all()); }
    for (std::size_t l = state.exit_layer + 1; l < blocks.size(); ++l) {
        const rows<float> missing = pass.missing(l);
        pass.prepare(missing, position);
        blocks[l].fill_cache(missing, position, state.caches[l], state.work);
    }
    state.owe_nothing();
}

/// Whether nothing is read: a policy names the token, if that is all that is wanted, or the pass
/// left early and only those who stay are wanted.
template <class Preset, weight_matrix Weights>
template <policy... P>
bool transformer<Preset, Weights>::answered(sequence_state& state, const P&... policies) const {
    state.answer.reset();
    const bool left = state.wanted == logit_rows::completed && !all_ran(state);
    if (state.wanted == logit_rows::best || state.wanted == logit_rows::token) {
        const rows<const float> x = state.residual;
        state.answer = answer_of(x[x.count() - 1], policies...);
    }
    if (!left && !state.answer) { return false; }
    state.logits.resize({std::size_t{0}, config.vocabulary});
    return true;
}

template <class Preset, weight_matrix Weights>
template <policy... P>
void transformer<Preset, Weights>::compute_logits(site where, sequence_state& state,
                                                  P&... policies) const {
    const rows<const float> x = state.residual;
    const bool each = state.wanted == logit_rows::all || state.wanted == logit_rows::completed;
    const std::size_t count = state.wanted == logit_rows::none ? 0 : each ? x.count() : 1;
    if (count == 0) {
        state.logits.resize({count, config.vocabulary});
        return;
    }
    where.first_position = state.position - count;
    const rows<const float> read = x.subrows(x.count() - count, count);
    check_residual(read, where.layer, where.first_position);
    const bool looked_at = (... || wants<hook::logits>(policies));
    if (state.wanted == logit_rows::token && !looked_at && name_best(state, read)) { return; }
    state.logits.resize({count, config.vocabulary});
    read_out(read, state.logits);
    call_hooks<hook::logits>(where, state.logits, policies...);
}

/// Whether the unembedding names the most probable token of a residual (1, D) without logits.
template <class Preset, weight_matrix Weights>
bool transformer<Preset, Weights>::name_best(sequence_state& state, rows<const float> read) const {
    auto normed = aligned_tensor::from_shape({read.count(), config.width});
    normalise(final_norm, read, normed);
    const auto best = unembedding.best_token(rows<const float>(normed)[0]);
    if (!best) { return false; }
    state.answer = named_token{*best};
    state.logits.resize({std::size_t{0}, config.vocabulary});
    return true;
}

template <class Preset, weight_matrix Weights>
void transformer<Preset, Weights>::check_state(const sequence_state& state) const {
    const std::size_t width = config.kv_heads * config.head_size;
    if (state.caches.size() != blocks.size()) {
        fail("state: {} layers, the model has {}; states are made by start()", state.caches.size(),
             blocks.size());
    }
    if (!blocks.empty() && state.caches.front().width() != width) {
        fail("state: keys of {} numbers, the model's have {}; states are made by start()",
             state.caches.front().width(), width);
    }
}

template <class Preset, weight_matrix Weights>
void transformer<Preset, Weights>::check(const sequence_state& state,
                                         std::span<const token_id> tokens) const {
    check_state(state);
    if (tokens.empty()) { fail("forward: no tokens, expected at least 1"); }
    if (tokens.size() > config.context - state.position) {
        fail("context: {} tokens, the model reads at most {}", state.position + tokens.size(),
             config.context);
    }
    for (const token_id token : tokens) { check_token(token, config.vocabulary, "forward"); }
}

}  // namespace xlens
