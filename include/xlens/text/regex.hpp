// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/text/regex_syntax.hpp>
#include <xlens/text/utf8.hpp>

#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH 8
#endif
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace xlens {

/// What the patterns of a tokenizer may cost on one text, all searches together: 10,000,000 steps
/// and 200 more a byte. A step is one part of a pattern tried at one place, or 16 bytes passed.
class match_budget {
public:
    explicit match_budget(std::size_t bytes) : m_total(10'000'000 + 200 * std::uint64_t{bytes}) {}

    [[nodiscard]] std::uint64_t total() const { return m_total; }
    /// False, for good, once more was spent than there is.
    bool spend(std::uint64_t steps) {
        m_spent = steps > m_total - m_spent ? m_total : m_spent + steps;
        return m_spent < m_total;
    }

private:
    std::uint64_t m_total;
    std::uint64_t m_spent = 0;
};

/// A compiled Unicode pattern of a tokenizer. Copies share the compiled code, which never changes:
/// one object may be used by several threads at once.
///
/// The pattern comes from a file, so its time is bounded by a match_budget: that of the text, which
/// the caller keeps from search to search, or one of its own for one call. One search may also take
/// no more than 1,000,000 + 16·bytes backtracking steps and 64 MiB + 256·bytes of heap. A pattern
/// that needs more ends in an error.
class regex {
public:
    /// `where` names the file and the field, for errors. Throws xlens::error where the pattern is
    /// over 64 KiB or does not compile.
    regex(std::string_view pattern, std::string where) : m_where(std::move(where)) {
        compile(to_pcre2(pattern, m_where));
    }

    /// Calls visit(begin, end) for each match in valid UTF-8, left to right, without overlap. An
    /// empty match right behind the match before it does not count (as in Oniguruma's iteration).
    /// Throws where the limits are reached.
    template <class Visit>
    void for_each_match(std::string_view text, match_budget& budget, Visit&& visit) const {
        matcher match(*this, text, budget);
        std::size_t last_end = no_match;
        for (std::size_t at = 0; at <= text.size();) {
            const auto [begin, end] = match.next(at);
            if (begin == no_match) { break; }
            if (begin < end || end != last_end) { visit(begin, end); }
            last_end = end;
            at = end > begin ? end : end + (end < text.size() ? read_utf8(text, end).length : 1);
        }
    }
    template <class Visit>
    void for_each_match(std::string_view text, Visit&& visit) const {
        match_budget budget(text.size());
        for_each_match(text, budget, std::forward<Visit>(visit));
    }

    /// Whether the pattern matches somewhere in valid UTF-8. Throws where the limits are reached.
    [[nodiscard]] bool matches(std::string_view text) const {
        match_budget budget(text.size());
        return matcher(*this, text, budget).next(0).first != no_match;
    }

private:
    static constexpr std::size_t no_match = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t max_pattern = std::size_t{64} << 10U;

    /// The state of one run over one text: what PCRE2 writes to while it matches.
    class matcher {
    public:
        matcher(const regex& owner, std::string_view text, match_budget& budget)
            : m_owner(owner),
              m_text(text),
              m_budget(budget),
              m_data(pcre2_match_data_create(1, nullptr), pcre2_match_data_free),
              m_context(pcre2_match_context_create(nullptr), pcre2_match_context_free) {
            if (!m_data || !m_context) { fail("{}: out of memory", owner.m_where); }
            constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max();
            m_steps = static_cast<std::uint32_t>(std::min(1'000'000 + 16 * text.size(), most));
            pcre2_set_match_limit(m_context.get(), m_steps);
            const std::size_t heap_kib = (std::size_t{64} << 10U) + text.size() / 4;
            pcre2_set_heap_limit(m_context.get(),
                                 static_cast<std::uint32_t>(std::min(heap_kib, most)));
            pcre2_set_callout(m_context.get(), &matcher::count, this);
        }
        matcher(const matcher&) = delete;
        matcher& operator=(const matcher&) = delete;

        [[nodiscard]] std::pair<std::size_t, std::size_t> next(std::size_t at) {
            m_last = at;
            int rc = run(at, PCRE2_NO_UTF_CHECK);
            // Compiled code has 32 KiB of stack; the interpreter goes further, on the heap.
            if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
                rc = run(at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT);
            }
            if (rc == PCRE2_ERROR_NOMATCH) { return {no_match, no_match}; }
            if (rc == PCRE2_ERROR_CALLOUT) {
                fail("{}: matching gave up at byte {} of {}: more than {} steps for one text",
                     m_owner.m_where, at, m_text.size(), m_budget.total());
            }
            if (rc < 0) {
                fail("{}: matching gave up at byte {} of {}: {} (limit {} steps)", m_owner.m_where,
                     at, m_text.size(), message(rc), m_steps);
            }
            const std::size_t* offsets = pcre2_get_ovector_pointer(m_data.get());
            // \K can move the reported start before the search or behind the end.
            if (offsets[0] < at || offsets[1] < offsets[0]) {
                fail("{}: the pattern reports a match that starts at {} and ends at {}",
                     m_owner.m_where, offsets[0], offsets[1]);
            }
            return {offsets[0], offsets[1]};
        }

    private:
        [[nodiscard]] int run(std::size_t at, std::uint32_t options) const {
            return pcre2_match(m_owner.m_code.get(), reinterpret_cast<PCRE2_SPTR>(m_text.data()),
                               m_text.size(), at, options, m_data.get(), m_context.get());
        }

        /// PCRE2 calls this before it tries a part of the pattern. It moves without a call within a
        /// part only (`.*`), and that distance shows at the next call.
        static int count(pcre2_callout_block* now, void* self) {
            auto& m = *static_cast<matcher*>(self);
            const std::size_t at = now->current_position;
            const std::size_t moved = at > m.m_last ? at - m.m_last : m.m_last - at;
            m.m_last = at;
            return m.m_budget.spend(1 + moved / 16) ? 0 : PCRE2_ERROR_CALLOUT;
        }

        const regex& m_owner;
        std::string_view m_text;
        match_budget& m_budget;
        std::size_t m_last = 0;
        std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> m_data;
        std::unique_ptr<pcre2_match_context, void (*)(pcre2_match_context*)> m_context;
        std::uint32_t m_steps = 0;
    };

    static std::string message(int code) {
        std::array<PCRE2_UCHAR, 256> buffer{};
        pcre2_get_error_message(code, buffer.data(), buffer.size());
        return reinterpret_cast<const char*>(buffer.data());
    }

    void compile(const std::string& pattern) {
        if (pattern.size() > max_pattern) {
            fail("{}: pattern of {} bytes, expected at most {}", m_where, pattern.size(),
                 max_pattern);
        }
        const std::unique_ptr<pcre2_compile_context, void (*)(pcre2_compile_context*)> context(
            pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
        if (!context) { fail("{}: out of memory", m_where); }
        pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
        // Ruby's ^ and $ always mean lines, hence MULTILINE.
        // AUTO_CALLOUT: matcher::count is called before each part of the pattern is tried.
        const std::uint32_t options =
            PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT;
        int code = 0;
        std::size_t at = 0;
        m_code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   options, &code, &at, context.get()),
                     pcre2_code_free);
        if (!m_code) {
            fail("{}: pattern {} does not compile: {} (at byte {})", m_where, printable(pattern),
                 message(code), at);
        }
        // Where PCRE2 was built without a JIT, the interpreter does the same work, slower.
        pcre2_jit_compile(m_code.get(), PCRE2_JIT_COMPLETE);
    }

    std::string m_where;
    std::shared_ptr<pcre2_code> m_code;
};

}  // namespace xlens
