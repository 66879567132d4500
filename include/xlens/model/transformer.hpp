// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/aligned.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/types.hpp>
#include <xlens/hooks/answer.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/model/presets.hpp>
#include <xlens/model/state.hpp>
#include <xlens/nn/block.hpp>
#include <xlens/nn/embedding.hpp>
#include <xlens/nn/unembedding.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace xlens {

/// A decoder-only transformer: `Preset` fixes the architecture (model/presets.hpp), `Weights` how
/// its matrices are stored (any_matrix: as the file says; matrix<q4_1>: fixed by the type).
/// Computes in f32 whatever the storage. Weights are borrowed: the file must stay open (any_model
/// keeps it). A const transformer may be used by several threads, each with its own state.
template <class Preset, weight_matrix Weights = any_matrix>
class transformer {
public:
    using preset = Preset;
    using weights = Weights;
    using block_type = block<Preset, Weights>;
    using norm_type = typename Preset::norm;
    using position_type = typename Preset::template position<Weights>;

    hyperparameters config;
    xlens::embedding<Weights> embedding;
    position_type position;
    std::vector<block_type> blocks;
    std::optional<norm_type> final_norm;
    xlens::unembedding<Weights> unembedding;

    /// An empty sequence.
    [[nodiscard]] sequence_state start() const {
        sequence_state state;
        state.caches.assign(blocks.size(), kv_cache(config.kv_heads * config.head_size));
        return state;
    }

    /// Reads T tokens more: leaves their final residuals (T, D), and the logits of the positions
    /// that state.wanted names (or, for `best`, a policy's answer), in the state. Policies are
    /// called at the sites of policy.hpp; when one says flow::stop at `after`, the remaining layers
    /// are left out for all T positions, whose keys and values there follow as state.fill says. In
    /// a layer that earlier exits left out, the rows that policies see begin with the positions
    /// that are made up for.
    /// Throws xlens::error if the tokens do not fit the context or the vocabulary.
    template <class... P>
    void forward(sequence_state& state, std::span<const token_id> tokens, P&... policies) const {
        (check_policy<P>(), ...);
        check(state, tokens);
        state.tokens.insert(state.tokens.end(), tokens.begin(), tokens.end());
        site where{0, state.position, state.tokens};
        const std::size_t owed = state.owed.shape(0);
        xt::xtensor<float, 2> all = xt::empty<float>({owed + tokens.size(), config.width});
        std::copy(state.owed.begin(), state.owed.end(), all.begin());
        const rows<float> x = rows<float>(all).subrows(owed, tokens.size());
        state.work.first_position = unprepared;

        embedding(tokens, x);
        if constexpr (!position_type::rotates) { position.add(x, where.first_position); }
        call_hooks<hook::embedding>(where, x, policies...);

        state.position += tokens.size();
        for (; where.layer < blocks.size(); ++where.layer) {
            state.exit_layer = where.layer;
            const rows<float> missing = missing_rows(all, where.layer, state);
            where.first_position = state.position - missing.count();
            prepare(missing, where.first_position, state.work);
            if (run_block(where, missing, state, policies...) == flow::stop) { break; }
        }
        leave(all, state);
        where.first_position = state.position - tokens.size();
        state.residual = x.tensor();
        where.layer = state.exit_layer;
        if (answered(state, policies...)) { return; }
        call_hooks<hook::read_out>(where, state.residual, policies...);
        compute_logits(where, state, policies...);
    }

    /// Reads one token more into each of N sequences, with the bits that forward gives each alone:
    /// a matrix is read once for all of them. Leaves residual, exit layer and logits of each in its
    /// state, whatever it wants. Policies must look at rows for themselves (is_rowwise) and are
    /// called row by row. Throws xlens::error as forward does.
    template <class... P>
    void forward_each(std::span<sequence_state* const> states, std::span<const token_id> tokens,
                      P&... policies) const {
        (check_policy<P>(), ...);
        if ((... || !is_rowwise(policies))) {
            fail("forward_each: a policy looks at more than a row, or may stop");
        }
        std::vector<site> sites;
        for (std::size_t n = 0; n < states.size(); ++n) {
            check(*states[n], tokens.subspan(n, 1));
            if (states[n]->owed.shape(0) > 0) {
                fail("forward_each: sequence {} has left layers out that it must make up for", n);
            }
            states[n]->tokens.push_back(tokens[n]);
            sites.push_back({0, states[n]->position, states[n]->tokens});
        }
        xt::xtensor<float, 2> residual = xt::empty<float>({states.size(), config.width});
        workspace& work = states.front()->work;
        work.resize(states.size(), layer_sizes());
        embedding(tokens, residual);
        prepare_positions(residual, sites, work);
        const auto offer = [&]<hook H>(rows<float> r) {
            for (std::size_t n = 0; n < r.count(); ++n) {
                call_hooks<H>(sites[n], r.subrows(n, 1), policies...);
            }
        };
        offer.template operator()<hook::embedding>(residual);
        std::vector<kv_cache*> caches(states.size());
        for (std::size_t l = 0; l < blocks.size(); ++l) {
            for (std::size_t n = 0; n < states.size(); ++n) {
                sites[n].layer = l;
                caches[n] = &states[n]->caches[l];
            }
            blocks[l].each(sites, residual, position, caches, work, policies...);
        }
        offer.template operator()<hook::read_out>(residual);
        xt::xtensor<float, 2> logits = xt::empty<float>({states.size(), config.vocabulary});
        read_out(residual, logits);
        offer.template operator()<hook::logits>(logits);
        for (std::size_t n = 0; n < states.size(); ++n) {
            sequence_state& state = *states[n];
            state.position += 1;
            state.exit_layer = blocks.size() - 1;
            state.answer.reset();
            state.residual = rows<float>(residual).subrows(n, 1).tensor();
            state.logits = rows<float>(logits).subrows(n, 1).tensor();
        }
    }

    /// Logits (N, V) of residuals (N, D): final norm, then unembedding.
    void read_out(rows<const float> residuals, rows<float> logits) const {
        auto normed = aligned_tensor::from_shape({residuals.count(), config.width});
        normalise(final_norm, residuals, normed);
        unembedding.logits(normed, logits);
    }
    /// ‖v_i‖ of every value vector, a span of F a layer. The first call reads all value matrices
    /// once, and the layers keep them.
    [[nodiscard]] std::vector<std::span<const float>> value_norms() const {
        std::vector<std::span<const float>> out;
        for (const block_type& b : blocks) {
            const auto& norms = b.ffn.value_norms();
            out.emplace_back(norms.data(), norms.size());
        }
        return out;
    }

    /// The value matrix V (D, F) of every layer.
    [[nodiscard]] std::vector<const Weights*> value_matrices() const {
        std::vector<const Weights*> out;
        for (const block_type& b : blocks) { out.push_back(&b.ffn.values()); }
        return out;
    }

private:
    [[nodiscard]] layer_shape layer_sizes() const {
        return {config.width, config.inner_width, config.heads, config.kv_heads, config.head_size};
    }
    static constexpr auto unprepared = static_cast<std::size_t>(-1);

    /// The last rows: positions that layer l has not seen.
    static rows<float> missing_rows(rows<float> all, std::size_t l, const sequence_state& state) {
        const std::size_t count = state.position - state.caches[l].positions();
        return all.subrows(all.count() - count, count);
    }
    void prepare(rows<float> x, std::size_t first, workspace& work) const {
        if (work.first_position == first) { return; }  // as the layer before: both end at one place
        work.first_position = first;
        work.resize(x.count(), layer_sizes());
        if constexpr (position_type::rotates) { position.prepare(first, x.count(), work.turned); }
    }
    /// Settles what the layers after the exit owe to the positions of this pass.
    void leave(rows<float> all, sequence_state& state) const {
        const bool out = state.exit_layer + 1 < blocks.size();
        if (!out || state.fill == kv_fill::complete) {
            const std::size_t owed = out ? all.count() : 0;
            state.owed = xt::xtensor<float, 2>(
                xt::view(all.tensor(), xt::range(std::size_t{0}, owed), xt::all()));
            return;
        }
        for (std::size_t l = state.exit_layer + 1; l < blocks.size(); ++l) {
            const rows<float> missing = missing_rows(all, l, state);
            prepare(missing, state.position - missing.count(), state.work);
            blocks[l].fill_cache(missing, position, state.caches[l], state.work);
        }
        state.owed.resize({std::size_t{0}, std::size_t{0}});
    }
    void prepare_positions(rows<float> x, std::span<const site> sites, workspace& work) const {
        if constexpr (position_type::rotates) {
            std::vector<std::size_t> positions;
            for (const site& s : sites) { positions.push_back(s.first_position); }
            position.prepare(positions, work.turned);
        } else {
            for (std::size_t n = 0; n < sites.size(); ++n) {
                position.add(x.subrows(n, 1), sites[n].first_position);
            }
        }
    }
    template <policy... P>
    flow run_block(const site& where, rows<float> x, sequence_state& state, P&... policies) const {
        return blocks[where.layer](where, x, position, state.caches[where.layer], state.work,
                                   policies...);
    }
    /// Whether a policy names the token, if that is all that is wanted.
    template <policy... P>
    bool answered(sequence_state& state, const P&... policies) const {
        state.answer.reset();
        if (state.wanted != logit_rows::best) { return false; }
        const rows<const float> x = state.residual;
        state.answer = answer_of(x[x.count() - 1], policies...);
        if (state.answer) { state.logits.resize({std::size_t{0}, config.vocabulary}); }
        return state.answer.has_value();
    }
    template <policy... P>
    void compute_logits(site where, sequence_state& state, P&... policies) const {
        const rows<const float> x = state.residual;
        const std::size_t count = state.wanted == logit_rows::none  ? 0
                                  : state.wanted == logit_rows::all ? x.count()
                                                                    : 1;
        state.logits.resize({count, config.vocabulary});
        if (count == 0) { return; }
        where.first_position = state.position - count;
        read_out(x.subrows(x.count() - count, count), state.logits);
        call_hooks<hook::logits>(where, state.logits, policies...);
    }
    void check(const sequence_state& state, std::span<const token_id> tokens) const {
        if (tokens.empty()) { fail("forward: no tokens, expected at least 1"); }
        if (tokens.size() > config.context - state.position) {
            fail("context: {} tokens, the model reads at most {}", state.position + tokens.size(),
                 config.context);
        }
        for (const token_id token : tokens) {
            if (token < 0 || static_cast<std::size_t>(token) >= config.vocabulary) {
                fail("token id {}: expected 0 to {}", token, config.vocabulary - 1);
            }
        }
    }
};

}  // namespace xlens
