// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>

#include <cstddef>
#include <initializer_list>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <algorithm>
#endif

namespace xlens {

/// The positions at which an intervention acts: all of them, unless it says otherwise.
class position_set {
public:
    position_set() = default;
    /// These positions alone, in any order.
    position_set(std::vector<std::size_t> listed);  // NOLINT(google-explicit-constructor)
    position_set(std::initializer_list<std::size_t> listed)
        : position_set(std::vector<std::size_t>(listed)) {}
    /// Position `first` and all after it.
    [[nodiscard]] static position_set from(std::size_t first);
    /// Positions before `end`.
    [[nodiscard]] static position_set before(std::size_t end);
    /// The positions that predict generated tokens: the last of the prompt, which predicts the
    /// first of them, and all after it. A policy cannot know where a prompt ends, for a prompt may
    /// be read in several passes: whoever starts the generation says it here.
    [[nodiscard]] static position_set generating(std::size_t prompt_length);

    [[nodiscard]] bool contains(std::size_t position) const;

private:
    std::size_t m_first = 0;
    std::size_t m_end = std::numeric_limits<std::size_t>::max();
    std::optional<std::vector<std::size_t>> m_listed;
};

#if XLENS_DEFINES(interventions)

XLENS_API position_set::position_set(std::vector<std::size_t> listed)
    : m_listed(std::move(listed)) {
    std::sort(m_listed->begin(), m_listed->end());
}

XLENS_API position_set position_set::from(std::size_t first) {
    position_set out;
    out.m_first = first;
    return out;
}

XLENS_API position_set position_set::before(std::size_t end) {
    position_set out;
    out.m_end = end;
    return out;
}

XLENS_API position_set position_set::generating(std::size_t prompt_length) {
    return from(prompt_length == 0 ? 0 : prompt_length - 1);
}

XLENS_API bool position_set::contains(std::size_t position) const {
    if (m_listed) { return std::binary_search(m_listed->begin(), m_listed->end(), position); }
    return position >= m_first && position < m_end;
}

#endif

}  // namespace xlens
