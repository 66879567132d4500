// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <span>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/core/error.hpp>
#include <xlens/core/layer.hpp>
#include <xlens/model/each_pass.hpp>
#include <xlens/model/state.hpp>
#endif

namespace xlens {

namespace detail {

/// Keeps the residual of one layer at one position.
class residual_keeper {
public:
    static constexpr hook hooks = hook::before | hook::after;

    residual_keeper(hook where, std::size_t layer, std::size_t position)
        : m_where(where), m_layer(layer), m_position(position) {}

    void before(const site& where, rows<float> x) { keep(hook::before, where, x); }
    void after(const site& where, rows<float> x) { keep(hook::after, where, x); }
    [[nodiscard]] const std::vector<float>& kept() const { return m_kept; }

private:
    void keep(hook here, const site& where, rows<float> x);

    hook m_where;
    std::size_t m_layer;
    std::size_t m_position;
    std::vector<float> m_kept;
};

XLENS_API std::vector<float> residual_with(const transformer<>& model,
                                           std::span<const token_id> tokens, hook where,
                                           std::size_t layer, std::size_t position,
                                           dynamic_policies& policies);

}  // namespace detail

/// The residual (D) before or after (hook::before, hook::after) the FFN update of a layer, at a
/// position of a prompt. Policies run in the pass, and what they change is read changed. To put it
/// in the place of another one: interventions/patch.hpp; all of a prompt: trace/observe.hpp.
/// Throws xlens::error for a layer or a position that is not there.
template <class... P>
std::vector<float> residual(const transformer<>& model, std::span<const token_id> tokens,
                            hook where, std::size_t layer, std::size_t position, P&... policies) {
    dynamic_policies pack = dynamic_policies::of(policies...);
    return detail::residual_with(model, tokens, where, layer, position, pack);
}

#if XLENS_DEFINES(trace)

namespace detail {

XLENS_API void residual_keeper::keep(hook here, const site& where, rows<float> x) {
    const std::size_t first = where.first_position;
    if (here != m_where || where.layer != m_layer || m_position < first ||
        m_position - first >= x.count()) {
        return;
    }
    const auto row = x[m_position - first];
    m_kept.assign(row.begin(), row.end());
}

XLENS_API std::vector<float> residual_with(const transformer<>& model,
                                           std::span<const token_id> tokens, hook where,
                                           std::size_t layer, std::size_t position,
                                           dynamic_policies& policies) {
    if (where != hook::before && where != hook::after) {
        fail("residual: expected hook::before or hook::after");
    }
    check_layer("residual", layer, model.blocks.size());
    if (position >= tokens.size()) {
        fail("residual: position {} of {} tokens", position, tokens.size());
    }
    constexpr std::size_t chunk = 32;
    residual_keeper keeper(where, layer, position);
    sequence_state state = model.start();
    state.wanted = logit_rows::none;
    // What stands after a position does not change it.
    each_pass(model, state, tokens.first(position + 1), chunk,
              [&](const text_pass& pass) { model.forward(state, pass.tokens, policies, keeper); });
    if (keeper.kept().empty()) { fail("residual: layer {} did not run: left early", layer); }
    return keeper.kept();
}

}  // namespace detail

#endif

}  // namespace xlens
