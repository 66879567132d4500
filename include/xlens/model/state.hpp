// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/hooks/answer.hpp>
#include <xlens/nn/kv_cache.hpp>
#include <xlens/nn/workspace.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

namespace xlens {

/// Which positions of a pass get logits. Most uses need the last alone; none spares the
/// unembedding where the residual is read through a lens instead. `best` is `last` for a caller who
/// asks for the most probable token only: an exit that can name it does, in sequence_state::answer,
/// and then there are no logits.
enum class logit_rows { last, all, none, best };

/// What the layers that an early exit leaves out get for the positions they missed.
enum class kv_fill {
    /// Nothing until a later pass goes that deep: it then takes the missed positions along, in one
    /// batch with its own, from the residuals that they left with. Later positions read what a run
    /// without exits would have left, bit for bit.
    complete,
    /// Keys and values of the exit residual at once (CALM, 2207.07061): cheaper, and an
    /// approximation that every later position reads.
    propagate,
};

/// One sequence being read: the keys and values of its positions, and what the last pass left.
/// Made by transformer::start(); a copy is a fork of the sequence.
struct sequence_state {
    std::vector<kv_cache> caches;  ///< one a layer
    std::size_t position = 0;      ///< tokens read so far
    std::vector<token_id> tokens;  ///< which they were
    logit_rows wanted = logit_rows::last;

    xt::xtensor<float, 2> residual;     ///< (T, D) of the last pass, after its last layer
    xt::xtensor<float, 2> logits;       ///< (1, T or 0; V) of the last pass
    std::optional<named_token> answer;  ///< of the last pass, in place of logits (`best`)
    std::size_t exit_layer = 0;         ///< last layer that ran in the last pass
    kv_fill fill = kv_fill::complete;
    /// Residuals of the last positions, which not all layers have seen: (position - the last
    /// layer's cached positions, D). Row by row as each left its exit layer.
    xt::xtensor<float, 2> owed = xt::empty<float>({std::size_t{0}, std::size_t{0}});
    workspace work;

    /// Forgets every position from `count` on, as if they had never been read.
    void truncate(std::size_t count) {
        if (count >= position) { return; }
        for (kv_cache& cache : caches) { cache.truncate(count); }
        const std::size_t dropped = std::min(position - count, owed.shape(0));
        owed = xt::xtensor<float, 2>(
            xt::view(owed, xt::range(std::size_t{0}, owed.shape(0) - dropped), xt::all()));
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
        owed = other.owed;
        position = other.position;
    }
};

}  // namespace xlens
