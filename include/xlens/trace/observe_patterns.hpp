// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(trace)
#include <algorithm>
#include <cmath>
#endif

namespace xlens {

/// Policy that keeps how much each head takes of each position, for pictures: a weight w as the
/// byte 255·w, rounded. It edits nothing: a pass with it gives the bits of one without. Memory
/// L·H·T²/2 bytes, T positions so far.
class observe_patterns {
public:
    static constexpr hook hooks = hook::pattern;

    /// Of a model of this many heads a layer.
    explicit observe_patterns(std::size_t heads) : m_heads(heads) {}

    void pattern(const site& where, rows<float> p);

    [[nodiscard]] std::size_t heads() const { return m_heads; }
    /// H·(position + 1) bytes of a position, head by head: those of positions 0 on up to itself.
    /// Empty where the layer did not run there.
    [[nodiscard]] std::span<const std::uint8_t> at(std::size_t position, std::size_t layer) const;

private:
    std::size_t m_heads;
    std::map<std::pair<std::size_t, std::size_t>, std::vector<std::uint8_t>> m_weights;
};

#if XLENS_DEFINES(trace)

XLENS_API void observe_patterns::pattern(const site& where, rows<float> p) {
    const std::size_t positions = where.first_position + p.count();
    for (std::size_t t = 0; t < p.count(); ++t) {
        const std::size_t position = where.first_position + t;
        std::vector<std::uint8_t>& to = m_weights[{position, where.layer}];
        to.clear();
        for (std::size_t h = 0; h < m_heads; ++h) {
            for (const float w : p[t].subspan(h * positions, position + 1)) {
                // A weight that is no number is 0 here; the residual that it makes is refused.
                to.push_back(static_cast<std::uint8_t>(
                    w > 0.0F ? std::lround(255.0F * std::min(w, 1.0F)) : 0));
            }
        }
    }
}

XLENS_API std::span<const std::uint8_t> observe_patterns::at(std::size_t position,
                                                             std::size_t layer) const {
    const auto found = m_weights.find({position, layer});
    return found == m_weights.end() ? std::span<const std::uint8_t>{} : found->second;
}

#endif

}  // namespace xlens
