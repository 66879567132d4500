// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/attention_head.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <span>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/core/error.hpp>
#endif

namespace xlens {

/// Policy that records from where one head took what it took at the last position of the last pass:
/// its weights of all positions, and their values. Values are kept over the passes of a sequence,
/// which must be watched from its start. It edits nothing: a pass with it gives the bits of one
/// without. Memory O(S·d), S positions so far, beside the pass's pattern.
class observe_sources {
public:
    static constexpr hook hooks = hook::values | hook::pattern;

    /// Head `which` of a model that has this many heads and key-value heads.
    observe_sources(const attention_head& which, std::size_t heads, std::size_t kv_heads)
        : m_which(which), m_heads(heads), m_kv_heads(kv_heads) {}

    void values(const site& where, rows<float> v);
    void pattern(const site& where, rows<float> p);

    [[nodiscard]] const attention_head& which() const { return m_which; }
    /// (S): the head's weights at the last position, which is S - 1.
    [[nodiscard]] std::span<const float> source_weights() const { return m_weights; }
    /// (S, d): the values that they weigh. Throws xlens::error where some were not seen: the policy
    /// came to a sequence that had begun, or the layer was left out at some positions.
    [[nodiscard]] rows<const float> source_values() const;

private:
    attention_head m_which;
    std::size_t m_heads;
    std::size_t m_kv_heads;
    std::size_t m_size = 0;  // d
    std::vector<float> m_weights;
    std::vector<float> m_values;
};

#if XLENS_DEFINES(trace)

XLENS_API void observe_sources::values(const site& where, rows<float> v) {
    if (where.layer != m_which.layer) { return; }
    m_size = v.width() / m_kv_heads;
    const std::size_t group = m_heads / m_kv_heads;
    const rows<float> own = v.columns(m_which.index / group * m_size, m_size);
    // What is read again stands in the place of what was read before.
    if (m_values.size() > where.first_position * m_size) {
        m_values.resize(where.first_position * m_size);
    }
    for (std::size_t t = 0; t < own.count(); ++t) {
        m_values.insert(m_values.end(), own[t].begin(), own[t].end());
    }
}

XLENS_API void observe_sources::pattern(const site& where, rows<float> p) {
    if (where.layer != m_which.layer) { return; }
    const std::size_t positions = where.first_position + p.count();
    const auto own = p[p.count() - 1].subspan(m_which.index * positions, positions);
    m_weights.assign(own.begin(), own.end());
}

XLENS_API rows<const float> observe_sources::source_values() const {
    if (m_weights.empty() || m_values.size() != m_weights.size() * m_size) {
        fail("head {}: values of {} positions were seen, it reads {}", to_string(m_which),
             m_size == 0 ? 0 : m_values.size() / m_size, m_weights.size());
    }
    return {m_values.data(), m_weights.size(), m_size};
}

#endif

}  // namespace xlens
