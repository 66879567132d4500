// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/io/tensor.hpp>
#include <xlens/storage/formats.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace xlens {

/// FNV-1a, 64 bits (Fowler, Noll, Vo): a hash for telling files apart, not for security.
class fnv1a {
public:
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

/// Tells models apart in the record of a run: a hash over every tensor's name, format, shape, size
/// and first 4 KiB, in the order of the names. It reads a few pages a tensor, so that it costs
/// milliseconds for any size; two files that differ only deeper inside tensors get the same value,
/// and so does the same file under another path. No protection against a forged file.
inline std::uint64_t fingerprint(const tensor_map& tensors) {
    constexpr std::size_t sample = 4096;
    fnv1a hash;
    hash.add(tensors.size());
    for (const auto& [name, tensor] : tensors) {
        hash.add(name.size());
        hash.add(std::as_bytes(std::span(name)));
        hash.add(std::as_bytes(std::span(format_name(tensor.format))));
        hash.add(tensor.shape.size());
        for (const std::size_t size : tensor.shape) { hash.add(size); }
        hash.add(tensor.bytes);
        hash.add({tensor.data, std::min(tensor.bytes, sample)});
    }
    return hash.value();
}

}  // namespace xlens
