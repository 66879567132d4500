// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/xtensor.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <cstddef>

namespace xlens {

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

/// What early exit keeps of a sequence between passes.
struct left_layers {
    std::size_t exit_layer = 0;  ///< last layer that ran in the last pass
    kv_fill fill = kv_fill::complete;
    /// Residuals of the last positions, which not all layers have seen: (position - the last
    /// layer's cached positions, D). Row by row as each left its exit layer.
    xt::xtensor<float, 2> owed = xt::empty<float>({std::size_t{0}, std::size_t{0}});

    /// Owes all layers after the exit to these rows (count, D); to none, nothing.
    void owe(rows<const float> residuals) { owed = residuals.tensor(); }
    void owe_nothing() { owed.resize({std::size_t{0}, std::size_t{0}}); }
    /// Forgets the last `count` positions.
    void drop(std::size_t count) {
        const std::size_t dropped = std::min(count, owed.shape(0));
        if (dropped == 0) { return; }
        const rows<const float> kept = rows<const float>(owed).subrows(0, owed.shape(0) - dropped);
        owed = xt::xtensor<float, 2>(kept.tensor());
    }
};

}  // namespace xlens
