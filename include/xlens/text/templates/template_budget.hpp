// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>

#include <cstddef>

namespace xlens {

/// What a chat template may take, which comes from outside as models do: it may hold loops in
/// loops, and double a text again and again.
struct template_limits {
    std::size_t steps = 10'000'000;               ///< parts of the template that are run
    std::size_t bytes = std::size_t{256} << 20U;  ///< of all texts and lists that it makes
};

namespace detail {

/// Counts what a template takes, and fails where that is too much.
class template_budget {
public:
    explicit template_budget(const template_limits& limits) : m_limits(limits) {}

    void step(std::size_t count = 1) {
        m_steps += count;
        if (count > m_limits.steps || m_steps > m_limits.steps) {
            fail("chat template: it takes more than {} steps", m_limits.steps);
        }
    }
    /// Before so many bytes are made.
    void bytes(std::size_t count) {
        if (count > m_limits.bytes || m_bytes + count > m_limits.bytes) {
            fail("chat template: it makes more than {} bytes of text", m_limits.bytes);
        }
        m_bytes += count;
    }
    /// Before `count` times `each` bytes are made.
    void bytes(std::size_t count, std::size_t each) {
        if (each != 0 && count > m_limits.bytes / each) { bytes(m_limits.bytes + 1); }
        bytes(count * each);
    }

    /// Levels of calls, statements and expressions that are open: no stack ends before this.
    class level {
    public:
        explicit level(template_budget& of) : m_of(of) {
            if (++m_of.m_depth > most_depth) {
                --m_of.m_depth;
                fail(
                    "chat template: nested too deep: more than {} calls, statements and "
                    "expressions inside each other",
                    most_depth);
            }
        }
        ~level() { --m_of.m_depth; }
        level(const level&) = delete;
        level& operator=(const level&) = delete;

    private:
        template_budget& m_of;
    };

private:
    static constexpr std::size_t most_depth = 1000;
    template_limits m_limits;
    std::size_t m_steps = 0;
    std::size_t m_bytes = 0;
    std::size_t m_depth = 0;
};

}  // namespace detail
}  // namespace xlens
