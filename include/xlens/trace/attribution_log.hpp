// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/types.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/trace/attribution.hpp>
#include <xlens/trace/observe_updates.hpp>

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace xlens {

/// Explains every token of a text while it is generated: why was its logit what it was? Its record
/// is a policy of the pass, the last one; each token is added before the next pass:
///   attribution_log log(model);
///   generate(model, prompt, {.seen = [&](const generated& t) { log.add(t.id); }}, log.record());
/// Borrows the model. Memory of one position (observe_updates) and of the attributions.
class attribution_log {
public:
    /// `limit`: sub-updates that each attribution names.
    explicit attribution_log(const transformer<>& model, std::size_t limit = 20)
        : m_explain(model, limit) {}
    /// Refused: the log borrows the model. Keep the model in a variable that outlives it.
    explicit attribution_log(const transformer<>&& model, std::size_t limit = 20) = delete;

    [[nodiscard]] observe_updates& record() { return m_record; }

    /// Explains the logit that this token had in the last pass; cost as attributor, for one target.
    /// Throws xlens::error for a token that the model does not have, and where that pass left no
    /// logits.
    void add(token_id token);

    /// One a token, in order.
    [[nodiscard]] const std::vector<attribution>& steps() const { return m_steps; }
    /// The same, taken out of the log.
    [[nodiscard]] std::vector<attribution> take() { return std::exchange(m_steps, {}); }

private:
    attributor m_explain;
    observe_updates m_record;
    std::vector<attribution> m_steps;
};

#if XLENS_DEFINES(trace)

XLENS_API void attribution_log::add(token_id token) {
    const attribution_target target{0, token, {}};
    m_steps.push_back(std::move(m_explain(m_record, std::span(&target, 1)).front()));
}

#endif

}  // namespace xlens
