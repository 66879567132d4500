// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/io/crc32.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens::test {

/// A ZIP archive of stored entries, built by hand; the knobs make it wrong.
struct zip_bytes {
    std::vector<std::pair<std::string, std::string>> entries;
    std::uint16_t method = 0;
    std::uint16_t flags = 0;
    std::uint32_t crc_error = 0;
    std::uint32_t extra_size = 0;    ///< added to sizes in the directory
    std::uint32_t offset_error = 0;  ///< added to offsets there

    [[nodiscard]] std::string operator()() const {
        std::string out;
        std::string directory;
        for (const auto& entry : entries) {
            const std::string& name = entry.first;
            const std::string& bytes = entry.second;
            const auto at = static_cast<std::uint32_t>(out.size());
            const auto size = static_cast<std::uint32_t>(bytes.size());
            const std::uint32_t crc = crc32(std::as_bytes(std::span(bytes))) + crc_error;
            const auto fields = [&](std::string& to, std::uint32_t sizes) {
                put(to, flags, 2);
                put(to, method, 2);
                put(to, 0, 4);
                put(to, crc, 4);
                put(to, sizes, 4);
                put(to, sizes, 4);
                put(to, static_cast<std::uint32_t>(name.size()), 2);
                put(to, 0, 2);
            };
            put(out, 0x04034b50, 4);
            put(out, 20, 2);
            fields(out, size);
            out += name + bytes;
            put(directory, 0x02014b50, 4);
            put(directory, 20, 2);
            put(directory, 20, 2);
            fields(directory, size + extra_size);
            put(directory, 0, 4);
            put(directory, 0, 2);
            put(directory, 0, 4);
            put(directory, at + offset_error, 4);
            directory += name;
        }
        const auto begin = static_cast<std::uint32_t>(out.size());
        out += directory;
        put(out, 0x06054b50, 4);
        put(out, 0, 4);
        put(out, static_cast<std::uint32_t>(entries.size()), 2);
        put(out, static_cast<std::uint32_t>(entries.size()), 2);
        put(out, static_cast<std::uint32_t>(directory.size()), 4);
        put(out, begin, 4);
        put(out, 0, 2);
        return out;
    }

private:
    static void put(std::string& to, std::uint32_t value, unsigned bytes) {
        for (unsigned i = 0; i < bytes; ++i) { to += static_cast<char>(value >> (8 * i) & 0xffU); }
    }
};

}  // namespace xlens::test
