// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/trace/observe.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/core/error.hpp>
#include <xlens/core/number_ranges.hpp>

#include <algorithm>
#include <numeric>
#endif

namespace xlens {

/// Which positions of a sequence are looked at: all, the last one, or some by their numbers.
class position_choice {
public:
    position_choice(observe::positions which)  // NOLINT(google-explicit-constructor): it is one
        : m_kind(which == observe::positions::last ? kind::last : kind::all) {}
    static position_choice all() { return position_choice(kind::all, {}); }
    static position_choice last() { return position_choice(kind::last, {}); }
    /// These, in any order; at least one. Throws xlens::error for none.
    static position_choice of(std::vector<std::size_t> listed);
    /// From "all", "last" or "3,5-8". `what` names the flag in messages; numbers are below `end`.
    static position_choice parse(std::string_view what, std::string_view text, std::size_t end);

    /// Those that a sequence of `count` tokens has, in order.
    [[nodiscard]] std::vector<std::size_t> in(std::size_t count) const;
    /// Throws xlens::error if a sequence of `count` tokens, which `what` names, lacks one.
    void check(std::size_t count, std::string_view what) const;
    /// As parse reads it.
    [[nodiscard]] std::string text() const;
    [[nodiscard]] bool is_all() const { return m_kind == kind::all; }
    [[nodiscard]] bool is_last() const { return m_kind == kind::last; }

private:
    enum class kind { all, last, listed };
    position_choice(kind which, std::vector<std::size_t> listed)
        : m_kind(which), m_listed(std::move(listed)) {}

    kind m_kind;
    std::vector<std::size_t> m_listed;
};

#if XLENS_DEFINES(trace)

XLENS_API position_choice position_choice::of(std::vector<std::size_t> listed) {
    if (listed.empty()) { fail("positions: expected at least 1, got none"); }
    std::sort(listed.begin(), listed.end());
    listed.erase(std::unique(listed.begin(), listed.end()), listed.end());
    return position_choice(kind::listed, std::move(listed));
}

XLENS_API position_choice position_choice::parse(std::string_view what, std::string_view text,
                                                 std::size_t end) {
    if (text == "all") { return all(); }
    if (text == "last") { return last(); }
    if (text.find_first_not_of("0123456789,-") != std::string_view::npos) {
        fail("{}: expected all, last or numbers such as 3,5-8, got '{}'", what, printable(text));
    }
    return of(parse_ranges(what, text, end));
}

XLENS_API std::vector<std::size_t> position_choice::in(std::size_t count) const {
    if (count == 0) { return {}; }
    if (m_kind == kind::last) { return {count - 1}; }
    if (m_kind == kind::listed) {
        return {m_listed.begin(), std::lower_bound(m_listed.begin(), m_listed.end(), count)};
    }
    std::vector<std::size_t> out(count);
    std::iota(out.begin(), out.end(), std::size_t{0});
    return out;
}

XLENS_API void position_choice::check(std::size_t count, std::string_view what) const {
    if (m_kind == kind::listed && m_listed.back() >= count) {
        fail("{}: {} tokens, position {} was asked for", what, count, m_listed.back());
    }
}

XLENS_API std::string position_choice::text() const {
    return m_kind == kind::all ? "all" : m_kind == kind::last ? "last" : ranges_text(m_listed);
}

#endif

}  // namespace xlens
