// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/model/state.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <span>
#include <vector>

#if XLENS_DEFINES(model)
#include <xlens/core/error.hpp>
#include <xlens/nn/kv_cache.hpp>
#include <xlens/nn/workspace.hpp>
#endif

namespace xlens {

/// Positions first .. first + count - 1 of a sequence, otherwise than it was read. What stands
/// before them is the sequence's own.
struct branch {
    std::size_t first = 0;
    std::size_t count = 0;
};

/// Runs layers first .. end - 1 over N branches of a sequence in one batch, each matrix being read
/// once for all of them. `x` (Σ counts, D), whose rows are the branches' behind each other, enters
/// layer `first` and holds what leaves layer end - 1. A branch attends to the keys and values that
/// the sequence has of earlier positions, and to its own of the others: with the bits of a pass of
/// its own. The sequence is not changed. Policies are called branch by branch, and what they answer
/// is not asked for. Throws xlens::error for layers that the model does not have, branches that are
/// empty or go beyond what the sequence has read, and rows that are not theirs.
XLENS_API void run_branches(const transformer<>& model, const sequence_state& read,
                            std::span<const branch> branches, std::size_t first, std::size_t end,
                            rows<float> x, dynamic_policies& policies);

#if XLENS_DEFINES(model)

namespace detail {

/// A pass over branches, for nn/block.hpp (model/pass.hpp has the others).
class branch_pass {
public:
    branch_pass(const transformer<>& model, const sequence_state& read,
                std::span<const branch> branches, std::size_t rows_in_all)
        : m_read(&read), m_branches(branches) {
        const hyperparameters& c = model.config;
        const format_id format =
            read.caches.empty() ? format_id::f32 : read.caches.front().format();
        m_caches.assign(branches.size(), kv_cache(c.kv_heads * c.head_size, format));
        std::vector<std::size_t> positions;
        for (std::size_t n = 0; n < branches.size(); ++n) {
            m_cache_of.push_back(&m_caches[n]);
            m_counts.push_back(branches[n].count);
            for (std::size_t t = 0; t < branches[n].count; ++t) {
                positions.push_back(branches[n].first + t);
            }
        }
        m_work.resize(rows_in_all, {c.width, c.inner_width, c.heads, c.kv_heads, c.head_size});
        model.position.prepare(positions, m_work.turned);
    }

    [[nodiscard]] workspace& work() { return m_work; }

    void enter(std::size_t l) {
        m_layer = l;
        for (std::size_t n = 0; n < m_branches.size(); ++n) {
            m_caches[n].take_first(m_read->caches[l], m_branches[n].first);
        }
    }
    template <class Attention, class Positions, class Hooks>
    void attend(const Attention& attention, rows<const float> x, const Positions& position,
                rows<float> out, Hooks& hooks) {
        attention.each(x, position, m_cache_of, m_counts, m_work, out, hooks);
    }
    /// Rows of the pass from `first_row` on: of all branches, or of one.
    template <hook H, policy... P>
    flow offer(rows<float> r, std::size_t first_row, P&... policies) const {
        std::size_t at = 0;
        for (const branch& b : m_branches) {
            const std::size_t row = at - first_row;
            at += b.count;
            if (at <= first_row) { continue; }
            if (row >= r.count()) { break; }
            const site where{m_layer, b.first, std::span(m_read->tokens).first(b.first + b.count),
                             m_read->prompt};
            call_hooks<H>(where, r.subrows(row, b.count), policies...);
        }
        return flow::proceed;
    }

private:
    const sequence_state* m_read;
    std::span<const branch> m_branches;
    std::size_t m_layer = 0;
    std::vector<kv_cache> m_caches;  // of the layer that runs, one a branch
    std::vector<kv_cache*> m_cache_of;
    std::vector<std::size_t> m_counts;
    workspace m_work;
};

}  // namespace detail

XLENS_API void run_branches(const transformer<>& model, const sequence_state& read,
                            std::span<const branch> branches, std::size_t first, std::size_t end,
                            rows<float> x, dynamic_policies& policies) {
    if (first > end || end > model.blocks.size()) {
        fail("branches: layers {} to {}, the model has {}", first, end, model.blocks.size());
    }
    if (read.caches.size() != model.blocks.size() || read.owed.shape(0) > 0) {
        fail("branches: expected a sequence that all {} layers have read", model.blocks.size());
    }
    std::size_t count = 0;
    for (const branch& b : branches) {
        if (b.count == 0 || b.first >= read.position || b.count > read.position - b.first) {
            fail("branches: {} positions from {}, of a sequence of {}", b.count, b.first,
                 read.position);
        }
        count += b.count;
    }
    if (x.count() != count || x.width() != model.config.width) {
        fail("branches: rows ({}, {}), expected ({}, {})", x.count(), x.width(), count,
             model.config.width);
    }
    if (count == 0 || first == end) { return; }
    policies.check(model.sizes());
    detail::branch_pass pass(model, read, branches, count);
    for (std::size_t l = first; l < end; ++l) {
        pass.enter(l);
        model.blocks[l](pass, x, model.position, policies);
    }
}

#endif

}  // namespace xlens
