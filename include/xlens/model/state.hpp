// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/nn/kv_cache.hpp>
#include <xlens/nn/workspace.hpp>

#include <cstddef>
#include <vector>

namespace xlens {

/// Which positions of a pass get logits. Most uses need the last alone; none spares the
/// unembedding where the residual is read through a lens instead.
enum class logit_rows { last, all, none };

/// One sequence being read: the keys and values of its positions, and what the last pass left.
/// Made by transformer::start(); a copy is a fork of the sequence.
struct sequence_state {
    std::vector<kv_cache> caches;  ///< one a layer
    std::size_t position = 0;      ///< tokens read so far
    std::vector<token_id> tokens;  ///< which they were
    logit_rows wanted = logit_rows::last;

    xt::xtensor<float, 2> residual;  ///< (T, D) of the last pass, after its last layer
    xt::xtensor<float, 2> logits;    ///< (1, T or 0; V) of the last pass
    std::size_t exit_layer = 0;      ///< last layer that ran in the last pass
    workspace work;

    /// Forgets every position from `count` on, as if they had never been read.
    void truncate(std::size_t count) {
        if (count >= position) { return; }
        for (kv_cache& cache : caches) { cache.truncate(count); }
        tokens.resize(count);
        position = count;
    }

    /// Becomes a fork of another sequence with which it shares the first `common` positions: only
    /// what follows them is copied, and the other's last logits are not.
    void fork_from(const sequence_state& other, std::size_t common) {
        for (std::size_t l = 0; l < caches.size(); ++l) {
            caches[l].copy_from(other.caches[l], common);
        }
        tokens = other.tokens;
        position = other.position;
    }
};

}  // namespace xlens
