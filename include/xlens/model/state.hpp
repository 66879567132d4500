// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/hooks/answer.hpp>
#include <xlens/model/left_layers.hpp>
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
/// and then there are no logits. `token` is `best` for one who does not ask for its probability
/// either: the unembedding names it too, where that spares time (unembedding::best_token).
/// `completed` is for a caller who judges what earlier exits named:
/// every position that the pass takes through the last layer, those that it makes up for included;
/// of a pass that leaves early nothing is read.
enum class logit_rows { last, all, none, best, token, completed };

/// One sequence being read: the keys and values of its positions, and what the last pass left.
/// Made by transformer::start(); a copy is a fork of the sequence.
struct sequence_state : left_layers {
    std::vector<kv_cache> caches;  ///< one a layer
    std::size_t position = 0;      ///< tokens read so far
    std::vector<token_id> tokens;  ///< which they were
    /// Tokens of the prompt, for policies (site::prompt): whoever reads one in several passes says
    /// it before the first; else it is what the first pass reads.
    std::size_t prompt = 0;
    logit_rows wanted = logit_rows::last;

    xt::xtensor<float, 2> residual;     ///< (T, D) of the last pass, after its last layer
    xt::xtensor<float, 2> logits;       ///< (1, T or 0; V) of the last pass; T: see logit_rows
    std::optional<named_token> answer;  ///< of the last pass, in place of logits (`best`, `token`)
    workspace work;

    /// Forgets every position from `count` on, as if they had never been read.
    void truncate(std::size_t count) {
        if (count >= position) { return; }
        for (kv_cache& cache : caches) { cache.truncate(count); }
        drop(position - count);
        tokens.resize(count);
        prompt = std::min(prompt, count);
        position = count;
    }

    /// What the last pass left to be read is gone: there are no residuals, logits or answer.
    void forget_answers() {
        residual.resize({std::size_t{0}, residual.shape(1)});
        logits.resize({std::size_t{0}, logits.shape(1)});
        answer.reset();
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
        prompt = other.prompt;
    }
};

}  // namespace xlens
