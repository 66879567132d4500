// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/model/state.hpp>
#include <xlens/nn/kv_cache.hpp>
#include <xlens/nn/workspace.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <span>
#include <vector>

// Whose positions the rows of a pass are. transformer::run tells the story of a pass once; these
// two know the rest: which rows a layer has yet to see, where their keys and values go, and how
// policies are called. Each lives for one pass and borrows the states.

namespace xlens::detail {

/// T positions of one sequence, behind those that earlier exits left unfinished.
class single_pass {
public:
    /// The state takes the tokens as read.
    single_pass(sequence_state& state, std::span<const token_id> tokens, const layer_shape& shape)
        : m_state(&state), m_shape(shape), m_tokens(tokens), m_owed(state.owed.shape(0)) {
        m_where.first_position = state.position;
        state.tokens.insert(state.tokens.end(), tokens.begin(), tokens.end());
        state.position += tokens.size();
        state.prompt = state.prompt == 0 ? state.position : state.prompt;
        m_where.tokens = state.tokens;
        m_where.prompt = state.prompt;
        m_all = xt::empty<float>({m_owed + tokens.size(), shape.width});
        std::copy(state.owed.begin(), state.owed.end(), m_all.begin());
    }

    [[nodiscard]] std::span<const token_id> tokens() const { return m_tokens; }
    /// (T, D): the residuals of the pass's own positions.
    [[nodiscard]] rows<float> fresh() { return all().subrows(m_owed, m_tokens.size()); }
    /// The same behind those that earlier exits left.
    [[nodiscard]] rows<float> all() { return m_all; }
    [[nodiscard]] workspace& work() { return m_state->work; }
    [[nodiscard]] const site& where() const { return m_where; }

    template <class Positions>
    void add_positions(const Positions& position) {
        position.add(fresh(), m_where.first_position);
    }
    /// Layer l begins: the rows that it has not seen, those made up for included.
    template <class Positions>
    [[nodiscard]] rows<float> enter(std::size_t l, const Positions& position) {
        m_where.layer = m_state->exit_layer = l;
        const rows<float> x = missing(l);
        m_where.first_position = m_state->position - x.count();
        prepare(x, position);
        return x;
    }
    /// The last rows: positions that layer l has not seen.
    [[nodiscard]] rows<float> missing(std::size_t l) {
        const std::size_t count = m_state->position - m_state->caches[l].positions();
        return all().subrows(all().count() - count, count);
    }
    /// Sizes and rotation of rows that end where the pass ends.
    template <class Positions>
    void prepare(rows<float> x, const Positions& position) {
        if (m_prepared == x.count()) { return; }  // as for the layer before
        m_prepared = x.count();
        work().resize(x.count(), m_shape);
        position.prepare(m_state->position - x.count(), x.count(), work().turned);
    }
    /// The layers are done: hooks after them see these last rows of the pass.
    void end(rows<const float> x) { m_where.first_position = m_state->position - x.count(); }

    template <class Attention, class Positions, class Hooks>
    void attend(const Attention& attention, rows<const float> x, const Positions& position,
                rows<float> out, Hooks& hooks) {
        attention(x, position, m_state->caches[m_where.layer], work(), out, hooks);
    }
    /// Rows of the pass, the first of which is row 0: there are no others.
    template <hook H, policy... P>
    flow offer(rows<float> r, std::size_t, P&... policies) const {
        return call_hooks<H>(m_where, r, policies...);
    }

private:
    sequence_state* m_state;
    layer_shape m_shape;
    std::span<const token_id> m_tokens;
    std::size_t m_owed;
    site m_where;
    xt::xtensor<float, 2> m_all;
    std::size_t m_prepared = 0;
};

/// One position each of N sequences: row n is of states[n]. Policies are called row by row, and
/// what they answer is not asked for.
class joint_pass {
public:
    joint_pass(std::span<sequence_state* const> states, std::span<const token_id> tokens,
               const layer_shape& shape)
        : m_states(states), m_tokens(tokens), m_caches(states.size()), m_counts(states.size(), 1) {
        for (std::size_t n = 0; n < states.size(); ++n) {
            sequence_state& state = *states[n];
            state.tokens.push_back(tokens[n]);
            m_sites.push_back({0, state.position, state.tokens, state.prompt});
            state.position += 1;
        }
        m_residual = xt::empty<float>({states.size(), shape.width});
        work().resize(states.size(), shape);
    }

    [[nodiscard]] std::span<const token_id> tokens() const { return m_tokens; }
    [[nodiscard]] rows<float> fresh() { return m_residual; }
    [[nodiscard]] workspace& work() { return m_states.front()->work; }

    template <class Positions>
    void add_positions(const Positions& position) {
        std::vector<std::size_t> positions;
        for (std::size_t n = 0; n < m_sites.size(); ++n) {
            positions.push_back(m_sites[n].first_position);
            position.add(fresh().subrows(n, 1), positions.back());
        }
        position.prepare(positions, work().turned);
    }
    template <class Positions>
    [[nodiscard]] rows<float> enter(std::size_t l, const Positions&) {
        for (std::size_t n = 0; n < m_sites.size(); ++n) {
            m_sites[n].layer = m_states[n]->exit_layer = l;
            m_caches[n] = &m_states[n]->caches[l];
        }
        return fresh();
    }
    template <class Attention, class Positions, class Hooks>
    void attend(const Attention& attention, rows<const float> x, const Positions& position,
                rows<float> out, Hooks& hooks) {
        attention.each(x, position, m_caches, m_counts, work(), out, hooks);
    }
    /// Rows of the pass from `first_row` on.
    template <hook H, policy... P>
    flow offer(rows<float> r, std::size_t first_row, P&... policies) const {
        if constexpr (sizeof...(P) > 0) {
            for (std::size_t n = 0; n < r.count(); ++n) {
                call_hooks<H>(m_sites[first_row + n], r.subrows(n, 1), policies...);
            }
        }
        return flow::proceed;
    }

private:
    std::span<sequence_state* const> m_states;
    std::span<const token_id> m_tokens;
    std::vector<site> m_sites;
    std::vector<kv_cache*> m_caches;
    std::vector<std::size_t> m_counts;  // a row each
    xt::xtensor<float, 2> m_residual;
};

}  // namespace xlens::detail
