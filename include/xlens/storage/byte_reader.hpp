// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace xlens {

static_assert(std::endian::native == std::endian::little, "the file formats are little endian");

/// The little-endian number that begins at `from`, from any alignment.
template <class T>
    requires std::is_arithmetic_v<T>
T load_number(const std::byte* from) {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
}

/// Reads the header of a binary file front to back. Every step is checked against the bytes that
/// are left, and fails with the file, the field, and both sizes. Reads nothing past `limit` bytes.
class byte_reader {
public:
    byte_reader(std::string_view file, std::span<const std::byte> bytes, std::size_t limit)
        : m_file(file),
          m_bytes(bytes.first(std::min(bytes.size(), limit))),
          m_limited(bytes.size() > limit) {}

    [[nodiscard]] std::string_view file() const { return m_file; }
    [[nodiscard]] std::size_t position() const { return m_position; }
    [[nodiscard]] std::size_t remaining() const { return m_bytes.size() - m_position; }

    /// The next `count` bytes.
    std::span<const std::byte> take(std::uint64_t count, std::string_view field) {
        if (count > remaining()) { too_short(count, field); }
        const auto out = m_bytes.subspan(m_position, static_cast<std::size_t>(count));
        m_position += out.size();
        return out;
    }
    template <class T>
    T number(std::string_view field) {
        return load_number<T>(take(sizeof(T), field).data());
    }
    /// A 64-bit length and as many bytes.
    std::string_view string(std::string_view field) {
        const auto bytes = take(number<std::uint64_t>(field), field);
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }

private:
    [[noreturn]] void too_short(std::uint64_t count, std::string_view field) const {
        fail("{}: {} at byte {}: expected {} more bytes, got {} before {}", m_file, field,
             m_position, count, remaining(),
             m_limited ? fmt::format("the limit of a header, {} bytes", m_bytes.size())
                       : std::string("the end of the file"));
    }

    std::string_view m_file;
    std::span<const std::byte> m_bytes;
    std::size_t m_position = 0;
    bool m_limited;
};

}  // namespace xlens
