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

/// A compiled Unicode pattern of a tokenizer. Copies share the compiled code, which never changes:
/// one object may be used by several threads at once.
///
/// The pattern comes from a file, so its time is bounded: one search may take 1,000,000 + 16·bytes
/// backtracking steps and 64 MiB + 256·bytes of heap, for a text of so many bytes. A pattern that
/// needs more ends in an error.
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
    void for_each_match(std::string_view text, Visit&& visit) const {
        const matcher match(*this, text);
        std::size_t last_end = no_match;
        for (std::size_t at = 0; at <= text.size();) {
            const auto [begin, end] = match.next(at);
            if (begin == no_match) { break; }
            if (begin < end || end != last_end) { visit(begin, end); }
            last_end = end;
            at = end > begin ? end : end + (end < text.size() ? read_utf8(text, end).length : 1);
        }
    }

    /// Whether the pattern matches somewhere in valid UTF-8. Throws where the limits are reached.
    [[nodiscard]] bool matches(std::string_view text) const {
        return matcher(*this, text).next(0).first != no_match;
    }

private:
    static constexpr std::size_t no_match = std::numeric_limits<std::size_t>::max();
    static constexpr std::size_t max_pattern = std::size_t{64} << 10U;

    /// The state of one run over one text: what PCRE2 writes to while it matches.
    class matcher {
    public:
        matcher(const regex& owner, std::string_view text)
            : m_owner(owner),
              m_text(text),
              m_data(pcre2_match_data_create(1, nullptr), pcre2_match_data_free),
              m_context(pcre2_match_context_create(nullptr), pcre2_match_context_free) {
            if (!m_data || !m_context) { fail("{}: out of memory", owner.m_where); }
            constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max();
            m_steps = static_cast<std::uint32_t>(std::min(1'000'000 + 16 * text.size(), most));
            pcre2_set_match_limit(m_context.get(), m_steps);
            const std::size_t heap_kib = (std::size_t{64} << 10U) + text.size() / 4;
            pcre2_set_heap_limit(m_context.get(),
                                 static_cast<std::uint32_t>(std::min(heap_kib, most)));
        }

        [[nodiscard]] std::pair<std::size_t, std::size_t> next(std::size_t at) const {
            int rc = run(at, PCRE2_NO_UTF_CHECK);
            // Compiled code has 32 KiB of stack; the interpreter goes further, on the heap.
            if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
                rc = run(at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT);
            }
            if (rc == PCRE2_ERROR_NOMATCH) { return {no_match, no_match}; }
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

        const regex& m_owner;
        std::string_view m_text;
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
        const std::uint32_t options =
            PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
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
