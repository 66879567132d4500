// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/xtensor.hpp>
#include <xlens/model/state.hpp>
#include <xlens/nn/kv_cache.hpp>

#include <cstddef>
#include <utility>
#include <vector>

namespace xlens::detail {

/// Takes back what a pass that throws has done to a sequence: its layers have seen the same
/// positions as before, or the next pass would read keys that are none. What the pass before left
/// to be read is gone.
class undo_pass {
public:
    explicit undo_pass(sequence_state& state)
        : m_state(&state),
          m_position(state.position),
          m_prompt(state.prompt),
          m_exit_layer(state.exit_layer),
          m_owed(state.owed) {
        m_seen.reserve(state.caches.size());
        for (const kv_cache& cache : state.caches) { m_seen.push_back(cache.positions()); }
    }
    ~undo_pass() {
        if (m_state == nullptr) { return; }
        for (std::size_t l = 0; l < m_seen.size(); ++l) { m_state->caches[l].truncate(m_seen[l]); }
        m_state->position = m_position;
        m_state->tokens.resize(m_position);
        m_state->prompt = m_prompt;
        m_state->exit_layer = m_exit_layer;
        m_state->owed = std::move(m_owed);
        m_state->forget_answers();
    }
    undo_pass(const undo_pass&) = delete;
    undo_pass& operator=(const undo_pass&) = delete;

    /// The pass is done.
    void keep() { m_state = nullptr; }

private:
    sequence_state* m_state;
    std::size_t m_position;
    std::size_t m_prompt;
    std::size_t m_exit_layer;
    xt::xtensor<float, 2> m_owed;
    std::vector<std::size_t> m_seen;  // positions, of each layer
};

}  // namespace xlens::detail
