// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(generate)
#include <xlens/core/error.hpp>

#include <algorithm>
#endif

namespace xlens {

/// Texts that end a generation. Bytes come token by token, and a text may begin in one token and
/// end in another: what may be the beginning of one is held back until it is decided.
class stop_sequences {
public:
    stop_sequences() = default;
    /// Throws xlens::error for an empty text.
    explicit stop_sequences(std::vector<std::string> texts);

    /// What may be shown now that these bytes have come; after a stop nothing more.
    std::string add(std::string_view bytes);
    /// What is still held back when the generation ends for another reason.
    std::string finish() { return m_stopped ? std::string() : std::exchange(m_held, {}); }
    [[nodiscard]] bool stopped() const { return m_stopped; }

private:
    [[nodiscard]] std::size_t first_match() const;
    /// Length of the longest end of what is held that a stop text begins with.
    [[nodiscard]] std::size_t begun() const;

    std::vector<std::string> m_texts;
    std::string m_held;
    bool m_stopped = false;
};

#if XLENS_DEFINES(generate)

XLENS_API stop_sequences::stop_sequences(std::vector<std::string> texts)
    : m_texts(std::move(texts)) {
    for (const std::string& text : m_texts) {
        if (text.empty()) { fail("stop: expected a text, got ''"); }
    }
}

XLENS_API std::string stop_sequences::add(std::string_view bytes) {
    if (m_stopped) { return {}; }
    m_held += bytes;
    const std::size_t end = first_match();
    m_stopped = end != std::string::npos;
    const std::size_t ready = m_stopped ? end : m_held.size() - begun();
    std::string out = m_held.substr(0, ready);
    m_held.erase(0, ready);
    return out;
}

XLENS_API std::size_t stop_sequences::first_match() const {
    std::size_t first = std::string::npos;
    for (const std::string& text : m_texts) { first = std::min(first, m_held.find(text)); }
    return first;
}

XLENS_API std::size_t stop_sequences::begun() const {
    std::size_t longest = 0;
    for (const std::string& text : m_texts) {
        for (std::size_t n = std::min(text.size() - 1, m_held.size()); n > longest; --n) {
            if (std::string_view(m_held).ends_with(std::string_view(text).substr(0, n))) {
                longest = n;
            }
        }
    }
    return longest;
}

#endif

}  // namespace xlens
