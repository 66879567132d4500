// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <map>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(early_exit)
#include <xlens/early_exit/model_reader.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/model/each_pass.hpp>
#include <xlens/model/state.hpp>
#include <xlens/nn/norm.hpp>

#include <algorithm>
#endif

namespace xlens::early_exit {

/// Positions of a text, from which rules are fitted.
struct exit_examples {
    std::vector<token_id> answers;                           ///< the model's top tokens (N)
    xt::xtensor<float, 2> last;                              ///< final residuals (N, D)
    std::map<std::size_t, xt::xtensor<float, 2>> residuals;  ///< `after` of some layers (N, D)
    std::map<std::size_t, xt::xtensor<float, 2>> updates;    ///< what their FFNs added, if wanted

    [[nodiscard]] std::size_t count() const { return answers.size(); }
};

namespace detail {

/// Keeps the rows of some layers.
class gather_rows {
public:
    static constexpr hook hooks = hook::before | hook::after;

    gather_rows(exit_examples& to, bool updates) : m_to(&to), m_updates(updates) {}

    void start_at(std::size_t row) { m_row = row; }
    void before(const site& where, rows<float> x);
    void after(const site& where, rows<float> x);

private:
    void copy(std::map<std::size_t, xt::xtensor<float, 2>>& to, std::size_t layer, rows<float> x);

    exit_examples* m_to;
    bool m_updates;
    std::size_t m_row = 0;
};

}  // namespace detail

/// Reads a text in windows that do not overlap and keeps what rules are fitted on. Memory
/// 4·N·D·(layers + 1) bytes, twice that with updates. `progress(done, total)` counts tokens. Throws
/// xlens::error naming layer and position, counted from the window's start, for a residual that
/// cannot be read.
XLENS_API exit_examples gather_examples(const transformer<>& model,
                                        std::span<const token_id> tokens, std::size_t window,
                                        std::span<const std::size_t> layers, bool updates,
                                        const progress_function& progress);

#if XLENS_DEFINES(early_exit)

namespace detail {

XLENS_API void gather_rows::before(const site& where, rows<float> x) {
    if (m_updates) { copy(m_to->updates, where.layer, x); }
}

XLENS_API void gather_rows::after(const site& where, rows<float> x) {
    check_residual(x, where.layer, where.first_position);
    copy(m_to->residuals, where.layer, x);
    const auto found = m_to->updates.find(where.layer);
    if (!m_updates || found == m_to->updates.end()) { return; }
    const rows<float> update = rows<float>(found->second).subrows(m_row, x.count());
    for (std::size_t t = 0; t < x.count(); ++t) {
        for (std::size_t d = 0; d < x.width(); ++d) { update[t][d] = x[t][d] - update[t][d]; }
    }
}

XLENS_API void gather_rows::copy(std::map<std::size_t, xt::xtensor<float, 2>>& to,
                                 std::size_t layer, rows<float> x) {
    const auto found = to.find(layer);
    if (found == to.end()) { return; }
    for (std::size_t t = 0; t < x.count(); ++t) {
        std::ranges::copy(x[t], rows<float>(found->second)[m_row + t].begin());
    }
}

}  // namespace detail

XLENS_API exit_examples gather_examples(const transformer<>& model,
                                        std::span<const token_id> tokens, std::size_t window,
                                        std::span<const std::size_t> layers, bool updates,
                                        const progress_function& progress) {
    constexpr std::size_t chunk = 128;
    exit_examples out;
    const std::size_t width = model.config.width;
    out.last = xt::empty<float>({tokens.size(), width});
    for (const std::size_t l : layers) {
        out.residuals[l] = xt::empty<float>({tokens.size(), width});
        if (updates) { out.updates[l] = xt::empty<float>({tokens.size(), width}); }
    }
    detail::gather_rows gather(out, updates);
    const logit_lens lens(model);
    const auto read = [&](sequence_state& state, const text_pass& pass) {
        gather.start_at(pass.row);
        model.forward(state, pass.tokens, gather);
        const rows<const float> x = state.residual;
        for (std::size_t t = 0; t < pass.tokens.size(); ++t) {
            std::ranges::copy(x[t], rows<float>(out.last)[pass.row + t].begin());
        }
        const std::size_t last = model.config.layers - 1;
        check_residual(x, last, pass.position);
        std::size_t position = pass.position;
        for (const reading& r : lens.read(x, 1)) {
            out.answers.push_back(top_of(r, last, position++));
        }
    };
    each_window(model, tokens, window, chunk, read, progress);
    return out;
}

#endif

}  // namespace xlens::early_exit
