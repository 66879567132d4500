// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace xlens {

/// FNV-1a, 64 bits (Fowler, Noll, Vo): a hash for telling files apart, not for security.
class fnv1a {
public:
    fnv1a() = default;
    /// Goes on from the value of another one.
    explicit fnv1a(std::uint64_t value) : m_state(value) {}

    void add(std::span<const std::byte> bytes) {
        for (const std::byte b : bytes) {
            m_state = (m_state ^ std::to_integer<std::uint64_t>(b)) * 0x100000001b3U;
        }
    }
    /// As 8 bytes, lowest first, on every machine.
    void add(std::uint64_t number) {
        for (unsigned shift = 0; shift < 64; shift += 8) {
            const auto b = static_cast<std::byte>(number >> shift & 0xffU);
            add({&b, 1});
        }
    }
    [[nodiscard]] std::uint64_t value() const { return m_state; }

private:
    std::uint64_t m_state = 0xcbf29ce484222325U;
};

}  // namespace xlens
