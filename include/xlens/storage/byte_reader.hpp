// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/checked.hpp>
#include <xlens/core/error.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

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

/// Reads a binary file front to back. Every step is checked against the bytes that are left, before
/// memory is allocated, and fails with the file, the field, and both sizes. Reads nothing past
/// `limit` bytes. Borrows the file's name and its bytes.
class byte_reader {
public:
    byte_reader(std::string_view file, std::span<const std::byte> bytes,
                std::size_t limit = std::numeric_limits<std::size_t>::max())
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
    /// A value as it lay in memory.
    template <class T>
        requires std::is_trivially_copyable_v<T>
    T value(std::string_view field) {
        T out;
        std::memcpy(static_cast<void*>(&out), take(sizeof(T), field).data(), sizeof(T));
        return out;
    }
    /// A 64-bit length and as many bytes.
    std::string_view string(std::string_view field) {
        const auto bytes = take(number<std::uint64_t>(field), field);
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
    /// A 64-bit length and as many values.
    template <class T>
        requires std::is_trivially_copyable_v<T>
    std::vector<T> list(std::string_view field) {
        const auto count = number<std::uint64_t>(field);
        // A product that does not fit is more than any file has.
        const auto bytes = take(checked_multiply<std::uint64_t>(count, sizeof(T))
                                    .value_or(std::numeric_limits<std::uint64_t>::max()),
                                field);
        std::vector<T> out(static_cast<std::size_t>(count));
        if (!out.empty()) { std::memcpy(out.data(), bytes.data(), bytes.size()); }
        return out;
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
