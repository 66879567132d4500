// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/storage/byte_reader.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xlens {

/// The table by which a SentencePiece model normalises characters (`precompiled_charsmap`): a
/// double array (Aoe 1989, as Darts-clone packs it) of the strings that are replaced, and what they
/// become.
class charsmap {
public:
    struct rule {
        std::size_t length = 0;   // bytes that are replaced
        std::string_view result;  // by this
    };

    charsmap() = default;
    /// The table's bytes: the array's size in bytes (32 bits, little endian), the array, and the
    /// results, each ended by a NUL. Throws where they do not fit together.
    charsmap(std::string_view bytes, const std::string& where) {
        std::uint32_t size = 0;
        if (bytes.size() >= sizeof size) { std::memcpy(&size, bytes.data(), sizeof size); }
        if (bytes.size() <= sizeof size || size % 4 != 0 || size < 1024 ||
            size >= bytes.size() - sizeof size || bytes.back() != '\0') {
            fail(
                "{}: expected a double array and strings that end in NUL, got {} bytes, of which "
                "the first say {}",
                where, bytes.size(), size);
        }
        m_units.resize(size / 4);
        std::memcpy(m_units.data(), bytes.data() + sizeof size, size);
        m_results = bytes.substr(sizeof size + size);
        for (std::size_t at = 0; at < m_results.size(); at = m_results.find('\0', at) + 1) {
            const std::size_t length = m_results.find('\0', at) - at;
            if (length > max_result) {
                fail("{}: a string of {} bytes, expected at most {}", where, length, max_result);
            }
        }
    }

    [[nodiscard]] bool empty() const { return m_units.empty(); }

    /// The longest rule for what text[at...] begins with.
    [[nodiscard]] std::optional<rule> longest(std::string_view text, std::size_t at) const {
        return find(text, at, true);
    }
    /// The shortest.
    [[nodiscard]] std::optional<rule> shortest(std::string_view text, std::size_t at) const {
        return find(text, at, false);
    }

private:
    static constexpr std::size_t max_result = 1024;  // NFKC needs 33

    static std::uint32_t label(std::uint32_t unit) { return unit & (0x80000000U | 0xFFU); }
    static std::uint32_t offset(std::uint32_t unit) {
        return (unit >> 10U) << ((unit & 0x200U) >> 6U);
    }

    /// Indices that lead out of a table, which only a broken one has, find nothing.
    [[nodiscard]] std::optional<rule> find(std::string_view text, std::size_t at, bool last) const {
        std::optional<rule> out;
        if (empty()) { return out; }
        std::size_t node = offset(m_units[0]);
        for (std::size_t i = at; i < text.size() && text[i] != '\0'; ++i) {
            const auto byte = static_cast<unsigned char>(text[i]);
            node ^= byte;
            if (node >= m_units.size() || label(m_units[node]) != byte) { break; }
            const bool ends = (m_units[node] >> 8U & 1U) != 0;
            node ^= offset(m_units[node]);
            if (node >= m_units.size()) { break; }
            const std::size_t result = m_units[node] & 0x7FFFFFFFU;
            if (ends && result < m_results.size()) {
                const std::string_view rest = std::string_view(m_results).substr(result);
                out = rule{i + 1 - at, rest.substr(0, rest.find('\0'))};
                if (!last) { break; }
            }
        }
        return out;
    }

    std::vector<std::uint32_t> m_units;
    std::string m_results;
};

}  // namespace xlens
