// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace xlens::test {

/// Bytes written by hand, numbers in little endian.
class byte_writer {
public:
    template <class T>
        requires std::is_arithmetic_v<T>
    byte_writer& number(T value) {
        char bytes[sizeof(T)];
        std::memcpy(bytes, &value, sizeof(T));
        m_bytes.append(bytes, sizeof(T));
        return *this;
    }
    byte_writer& raw(std::string_view bytes) {
        m_bytes += bytes;
        return *this;
    }
    /// A 64-bit length and the text, as GGUF stores strings.
    byte_writer& text(std::string_view text) {
        return number(static_cast<std::uint64_t>(text.size())).raw(text);
    }
    byte_writer& zeros(std::size_t count) { return raw(std::string(count, '\0')); }
    byte_writer& align(std::size_t to) {
        while (m_bytes.size() % to != 0) { m_bytes += '\0'; }
        return *this;
    }
    [[nodiscard]] const std::string& bytes() const { return m_bytes; }

private:
    std::string m_bytes;
};

}  // namespace xlens::test
