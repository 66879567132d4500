// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/storage/mapped_file.hpp>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#if XLENS_DEFINES(text)
#include <xlens/core/error.hpp>
#include <xlens/text/utf8.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>
#endif

namespace xlens {

/// A text from outside: a file, mapped; a pipe or, for the path "-", standard input, read whole.
/// It has to be UTF-8. A byte order mark of UTF-8 at its beginning is left out; everything else
/// stays as it is, ends of lines (CRLF) and NUL included.
class input_text {
public:
    /// Throws xlens::error for what cannot be read, is empty, is longer than most_read without
    /// being a regular file, or begins with the byte order mark of UTF-16 or UTF-32.
    explicit input_text(const std::filesystem::path& path);

    /// Whether the text is UTF-8 shows when check() reaches the place.
    [[nodiscard]] std::string_view bytes() const { return m_bytes; }
    /// The path as it was given, or "standard input", for messages.
    [[nodiscard]] const std::string& name() const { return m_name; }

    /// Throws xlens::error unless the bytes [begin, end) are UTF-8, with the place of the first
    /// that is not and what the text seems to be (UTF-16, Latin-1). O(end - begin).
    void check(std::size_t begin, std::size_t end) const;
    /// bytes(), all of them checked.
    [[nodiscard]] std::string_view checked() const {
        check(0, m_bytes.size());
        return m_bytes;
    }

    /// The most that is read of what is no regular file: 1 GiB.
    static constexpr std::size_t most_read = std::size_t{1} << 30U;

private:
    std::string m_name;
    std::optional<mapped_file> m_file;
    std::string m_read;        // of what cannot be mapped
    std::size_t m_mark = 0;    // bytes of the byte order mark
    std::string_view m_bytes;  // without it

public:
    input_text(const input_text&) = delete;  // m_bytes points into m_read
    input_text& operator=(const input_text&) = delete;
};

#if XLENS_DEFINES(text)
namespace detail {

/// All that a pipe or standard input gives.
inline std::string read_stream(const std::filesystem::path& path, const std::string& name) {
    struct close_unless_standard {
        void operator()(std::FILE* file) const {
            if (file != stdin) { std::fclose(file); }
        }
    };
    const std::unique_ptr<std::FILE, close_unless_standard> file(
        path == "-" ? stdin : std::fopen(path.c_str(), "rb"));
    const auto reason = [] { return std::generic_category().message(errno); };
    if (!file) { fail("{}: cannot be opened: {}", name, reason()); }
    std::string out;
    std::array<char, 1U << 16U> some;
    while (const std::size_t n = std::fread(some.data(), 1, some.size(), file.get())) {
        out.append(some.data(), n);
        if (out.size() > input_text::most_read) {
            fail("{}: more than {} bytes, expected a regular file for so long a text", name,
                 input_text::most_read);
        }
    }
    if (std::ferror(file.get()) != 0) { fail("{}: cannot be read: {}", name, reason()); }
    return out;
}

/// What a text that is not UTF-8 seems to be, with the name that iconv has for it; or nothing.
inline std::string_view encoding_of(std::string_view bytes) {
    const std::string_view some = bytes.substr(0, 4096);
    std::array<std::size_t, 2> zeros{};
    for (std::size_t i = 0; i < some.size(); ++i) { zeros[i % 2] += some[i] == '\0' ? 1U : 0U; }
    // ASCII in UTF-16 has a zero in every pair of bytes, on one side. A few zeros say nothing.
    constexpr std::size_t few = 3;
    if (zeros[1] > few && zeros[1] * 4 > some.size()) { return "UTF-16LE"; }
    if (zeros[0] > few && zeros[0] * 4 > some.size()) { return "UTF-16BE"; }
    // Latin-1 has its letters from C0 on, and no controls from 80 to 9F.
    const auto is_control = [](char c) {
        return static_cast<unsigned char>(c) >= 0x80 && static_cast<unsigned char>(c) < 0xA0;
    };
    return std::ranges::none_of(bytes, is_control) ? "LATIN1" : "";
}

}  // namespace detail

XLENS_API input_text::input_text(const std::filesystem::path& path)
    : m_name(path == "-" ? "standard input" : printable(path.string(), 1024)) {
    std::error_code ignored;
    if (path == "-" || std::filesystem::is_fifo(path, ignored)) {
        m_read = detail::read_stream(path, m_name);
        m_bytes = m_read;
    } else {
        m_file.emplace(path);
        const auto mapped = m_file->bytes();
        m_bytes = {reinterpret_cast<const char*>(mapped.data()), mapped.size()};
    }
    using namespace std::string_view_literals;
    // UTF-32's little-endian mark begins with UTF-16's.
    for (const auto& [mark, encoding] : {std::pair{"\xFF\xFE\0\0"sv, "UTF-32LE"},
                                         {"\0\0\xFE\xFF"sv, "UTF-32BE"},
                                         {"\xFF\xFE"sv, "UTF-16LE"},
                                         {"\xFE\xFF"sv, "UTF-16BE"}}) {
        if (m_bytes.starts_with(mark)) {
            fail("{}: begins with the byte order mark of {}, expected UTF-8 (iconv -f {} makes it)",
                 m_name, encoding, encoding);
        }
    }
    m_mark = m_bytes.starts_with("\xEF\xBB\xBF") ? 3 : 0;
    m_bytes.remove_prefix(m_mark);
    if (m_bytes.empty()) { fail("{}: empty, expected a text", m_name); }
}

XLENS_API void input_text::check(std::size_t begin, std::size_t end) const {
    const std::string_view part = m_bytes.substr(begin, end - begin);
    // UTF-16 of ASCII letters is UTF-8 of letters and NULs.
    const std::string_view two_bytes = begin == 0 ? detail::encoding_of(part) : std::string_view();
    if (two_bytes.starts_with("UTF-16")) {
        fail("{}: every other byte is 0, as in {}, expected UTF-8 (iconv -f {} makes it)", m_name,
             two_bytes, two_bytes);
    }
    for (std::size_t at = 0; at < part.size();) {
        const utf8_unit unit = read_utf8(part, at);
        if (!unit.valid) {
            const std::string_view seems = detail::encoding_of(m_bytes);
            fail("{}: byte {} is 0x{}, which is not UTF-8, expected a text in UTF-8{}", m_name,
                 m_mark + begin + at, fmt::format("{:02X}", static_cast<unsigned char>(part[at])),
                 seems.empty() ? std::string()
                               : fmt::format("; it may be {} (iconv -f {})", seems, seems));
        }
        at += unit.length;
    }
}
#endif

}  // namespace xlens
