// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/hooks/policy.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <tuple>

namespace xlens {

/// The hooks of one layer as its parts call them, attention and block: whose positions the rows are
/// the pass knows (model/pass.hpp). Remembers whether a policy said stop. Of an empty pack nothing
/// is left once it is compiled.
template <class Pass, policy... P>
class layer_hooks {
public:
    explicit layer_hooks(Pass& pass, P&... policies) : m_pass(&pass), m_policies(policies...) {}

    /// Calls hook H with rows of the pass, of which the first is row `first_row`.
    template <hook H>
    void offer(rows<float> x, std::size_t first_row = 0) {
        std::apply(
            [&](P&... policies) {
                if (m_pass->template offer<H>(x, first_row, policies...) == flow::stop) {
                    m_result = flow::stop;
                }
            },
            m_policies);
    }
    /// Whether a policy takes H now: known when it is compiled where none declares it.
    template <hook H>
    [[nodiscard]] bool wanted() const {
        if constexpr ((contains(P::hooks, H) || ...)) {
            return std::apply([](const P&... policies) { return wants<H>(policies...); },
                              m_policies);
        } else {
            return false;
        }
    }
    [[nodiscard]] flow result() const { return m_result; }

private:
    Pass* m_pass;
    std::tuple<P&...> m_policies;
    flow m_result = flow::proceed;
};

}  // namespace xlens
