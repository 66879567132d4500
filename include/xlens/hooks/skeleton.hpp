// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/hooks/policy.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>

namespace xlens {

/// A policy to copy. Keep the hooks you need, in `hooks` and as members, and delete the rest: what
/// is declared must be there with this signature, what is there must be declared, or it does not
/// compile. A hook returns void, or flow (flow::stop leaves the remaining layers out).
///
///     skeleton mine;
///     model.forward(state, tokens, mine);
class skeleton {
public:
    static constexpr hook hooks = hook::embedding | hook::queries | hook::keys | hook::values |
                                  hook::pattern | hook::head_outputs | hook::attention_out |
                                  hook::before | hook::pre_activations | hook::coefficients |
                                  hook::ffn_out | hook::after | hook::read_out | hook::logits;

    /// x (T, D): the residual that enters layer 0.
    void embedding([[maybe_unused]] const site& where, [[maybe_unused]] rows<float> x) {}

    /// q (T, H·d): the queries of where.layer, as they meet the keys.
    void queries([[maybe_unused]] const site& where, [[maybe_unused]] rows<float> q) {}

    /// k (T, K·d): the keys of these positions, as queries meet them.
    void keys([[maybe_unused]] const site& where, [[maybe_unused]] rows<float> k) {}

    /// v (T, K·d): the values of these positions.
    void values([[maybe_unused]] const site& where, [[maybe_unused]] rows<float> v) {}

    /// p (T, H·S): how much each head takes of each position; head h's are at h·S.
    void pattern([[maybe_unused]] const site& where, [[maybe_unused]] rows<float> p) {}

    /// z (T, H·d): what each head took together; write zeros to leave a head out.
    void head_outputs([[maybe_unused]] const site& where, [[maybe_unused]] rows<float> z) {}

    /// x (T, D): what the attention of where.layer is about to add.
    void attention_out([[maybe_unused]] const site& where, [[maybe_unused]] rows<float> x) {}

    /// x (T, D): the residual before the FFN update.
    void before([[maybe_unused]] const site& where, [[maybe_unused]] rows<float> x) {}

    /// g (T, F): what the activation is about to be applied to.
    void pre_activations([[maybe_unused]] const site& where, [[maybe_unused]] rows<float> g) {}

    /// m (T, F): the coefficients; write to them to change the update.
    void coefficients([[maybe_unused]] const site& where, [[maybe_unused]] rows<float> m) {}

    /// x (T, D): what the FFN of where.layer is about to add.
    void ffn_out([[maybe_unused]] const site& where, [[maybe_unused]] rows<float> x) {}

    /// x (T, D): the residual after the FFN update.
    flow after([[maybe_unused]] const site& where, [[maybe_unused]] rows<float> x) {
        return flow::proceed;
    }

    /// x (T, D): the residual that is about to be read into logits. Keys and values are complete,
    /// so that a change here changes what is read and nothing else.
    void read_out([[maybe_unused]] const site& where, [[maybe_unused]] rows<float> x) {}

    /// z (N, V): the logits of the last position, or of those that the caller asked for.
    void logits([[maybe_unused]] const site& where, [[maybe_unused]] rows<float> z) {}
};

static_assert(policy<skeleton>);

}  // namespace xlens
