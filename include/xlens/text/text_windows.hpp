// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/hash.hpp>
#include <xlens/core/types.hpp>
#include <xlens/text/input_text.hpp>
#include <xlens/text/tokenizer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace xlens {

namespace detail {

/// Where a piece of text that begins at `begin` and has at least `least` bytes may end: before a
/// space between a letter or digit and a letter (ASCII), which every pre-tokenizer cuts at; failing
/// that for `most` bytes, between two characters.
inline std::size_t piece_end(std::string_view text, std::size_t begin, std::size_t least,
                             std::size_t most) {
    const auto letter = [&](std::size_t i) {
        const char c = static_cast<char>(text[i] | 0x20);
        return c >= 'a' && c <= 'z';
    };
    const auto digit = [&](std::size_t i) { return text[i] >= '0' && text[i] <= '9'; };
    if (text.size() - begin <= least) { return text.size(); }
    const std::size_t end = std::min(begin + most, text.size());
    for (std::size_t i = begin + least; i + 1 < end; ++i) {
        if (text[i] == ' ' && letter(i + 1) && (letter(i - 1) || digit(i - 1))) { return i; }
    }
    const auto continues = [&](std::size_t i) {
        return i < text.size() && (static_cast<unsigned char>(text[i]) & 0xc0U) == 0x80U;
    };
    std::size_t cut = end;
    while (continues(cut)) { ++cut; }
    return cut;
}

}  // namespace detail

/// Where text_windows stands: everything before has been given out.
struct text_cursor {
    std::uint64_t piece = 0;    ///< byte at which the piece of the next token begins
    std::uint64_t skipped = 0;  ///< tokens of that piece which have been given out
    std::uint64_t tokens = 0;   ///< tokens given out, those that begin a window among them
    std::uint64_t hash = 0;     ///< FNV-1a of the bytes before the piece
};

/// A text (text/input_text.hpp) of any size as windows of `window` tokens that do not overlap; the
/// last may be shorter. Each begins with the tokens that the model expects before a text, which
/// count: a window is what the model reads in one pass. The text is tokenised piece by piece (a
/// megabyte each, by default), so that memory does not grow with a file. With byte-level BPE the
/// tokens are those of the whole text; with SentencePiece each piece begins like a text of its own.
/// Throws xlens::error for a text that cannot be read or is not UTF-8 (when the place is reached),
/// and a window that has no room for a token of it. Borrows the tokenizer.
class text_windows {
public:
    text_windows(const std::filesystem::path& path, const tokenizer& text, std::size_t window,
                 prompt_options how = {}, std::size_t piece_bytes = std::size_t{1} << 20U)
        : m_file(path),
          m_tokenizer(&text),
          m_how(how),
          m_window(window),
          m_piece_bytes(piece_bytes) {
        if (window <= before().size()) {
            fail("window: expected more than the {} tokens that begin it, got {}", before().size(),
                 window);
        }
        m_cursor.hash = m_hash.value();
    }

    /// The next window; empty at the end of the file.
    [[nodiscard]] std::vector<token_id> next() {
        if (!more()) { return {}; }
        std::vector<token_id> out(before().begin(), before().end());
        m_cursor.tokens += out.size();
        while (out.size() < m_window && more()) {
            const std::size_t at = static_cast<std::size_t>(m_cursor.skipped);
            const std::size_t count = std::min(m_window - out.size(), m_tokens.size() - at);
            const auto begin = m_tokens.begin() + static_cast<std::ptrdiff_t>(at);
            out.insert(out.end(), begin, begin + static_cast<std::ptrdiff_t>(count));
            m_cursor.skipped += count;
            m_cursor.tokens += count;
        }
        return out;
    }

    [[nodiscard]] const text_cursor& cursor() const { return m_cursor; }
    [[nodiscard]] std::uint64_t bytes() const { return m_file.bytes().size(); }
    /// The path, or "standard input", for messages.
    [[nodiscard]] const std::string& name() const { return m_file.name(); }
    /// Of all bytes of the text (FNV-1a). Reads it whole.
    [[nodiscard]] std::uint64_t hash() const {
        fnv1a out;
        out.add(std::as_bytes(std::span(text())));
        return out.value();
    }
    /// Tokens of the whole file, guessed from those so far.
    [[nodiscard]] std::size_t expected_tokens() const {
        const double done = m_end == 0 ? 1.0 : static_cast<double>(m_end);
        const double rate =
            static_cast<double>(m_cursor.tokens - m_cursor.skipped + m_tokens.size()) / done;
        return static_cast<std::size_t>(rate * static_cast<double>(bytes()));
    }

    /// Goes on from where another one stood. Throws xlens::error if the bytes before that place are
    /// not those that it read.
    void seek(const text_cursor& to) {
        m_hash = fnv1a();
        if (to.piece <= bytes()) {
            m_hash.add(
                std::as_bytes(std::span(text().substr(0, static_cast<std::size_t>(to.piece)))));
        }
        if (to.piece > bytes() || m_hash.value() != to.hash) {
            fail("{}: its first {} bytes have changed since the run that is to be continued",
                 m_file.name(), to.piece);
        }
        m_cursor = to;
        m_end = static_cast<std::size_t>(to.piece);
        m_tokens.clear();
        if (m_end < bytes()) { read_piece(); }
        if (m_cursor.skipped > m_tokens.size()) {
            fail("{}: {} tokens read of a piece that has {}: another tokenizer?", m_file.name(),
                 m_cursor.skipped, m_tokens.size());
        }
    }

private:
    [[nodiscard]] std::string_view text() const { return m_file.bytes(); }
    [[nodiscard]] std::span<const token_id> before() const {
        return m_how.bos ? std::span<const token_id>(m_tokenizer->prefix())
                         : std::span<const token_id>();
    }
    /// Whether there are tokens left; reads the next piece if it must.
    bool more() {
        while (m_cursor.skipped == m_tokens.size() && m_end < text().size()) {
            const auto begin = static_cast<std::size_t>(m_cursor.piece);
            m_hash.add(std::as_bytes(std::span(text().substr(begin, m_end - begin))));
            m_cursor.piece = m_end;
            m_cursor.skipped = 0;
            m_cursor.hash = m_hash.value();
            read_piece();
        }
        return m_cursor.skipped < m_tokens.size();
    }
    /// The tokens of the piece that begins at m_end.
    void read_piece() {
        constexpr std::size_t patience = 16;
        const std::size_t begin = m_end;
        m_end = detail::piece_end(text(), begin, m_piece_bytes, patience * m_piece_bytes);
        m_file.check(begin, m_end);
        m_tokens =
            m_tokenizer->encode(text().substr(begin, m_end - begin), {.special = m_how.special});
    }

    input_text m_file;
    const tokenizer* m_tokenizer;
    prompt_options m_how;
    std::size_t m_window;
    std::size_t m_piece_bytes;
    text_cursor m_cursor;
    fnv1a m_hash;                    ///< of the bytes before the piece
    std::size_t m_end = 0;           ///< of the piece
    std::vector<token_id> m_tokens;  ///< of the piece
};

}  // namespace xlens
