// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace xlens {

static_assert(std::endian::native == std::endian::little, "the file formats are little endian");

/// Bytes in memory, written to as to an atomic_file.
struct byte_buffer {
    std::vector<std::byte> bytes;

    void write(std::span<const std::byte> more) {
        bytes.insert(bytes.end(), more.begin(), more.end());
    }
};

/// Writes a binary file front to back, little-endian, as byte_reader reads it. Borrows `to`, which
/// has
/// `write(bytes)`: an atomic_file or a byte_buffer.
template <class To>
class byte_writer {
public:
    explicit byte_writer(To& to) : m_to(&to) {}

    /// As it lies in memory.
    template <class T>
        requires std::is_trivially_copyable_v<T>
    void value(const T& x) {
        values(std::span<const T>(&x, 1));
    }
    /// Without their number.
    template <class T, std::size_t N>
        requires std::is_trivially_copyable_v<T>
    void values(std::span<T, N> list) {
        m_to->write(std::as_bytes(list));
    }
    /// A 64-bit length, then the values.
    template <class T>
    void list(const std::vector<T>& list) {
        size(list.size());
        values(std::span(list));
    }
    /// A 64-bit length, then the bytes.
    void string(std::string_view text) {
        size(text.size());
        values(std::span(text));
    }
    void size(std::size_t count) { value(std::uint64_t{count}); }

private:
    To* m_to;
};

}  // namespace xlens
