// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/text/utf8.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace xlens::program {

/// Turns bytes that come token by token into valid UTF-8. A character that is split over tokens is
/// held back until its last byte is there.
class utf8_stream {
public:
    /// What can be shown once these bytes have come.
    std::string add(std::string_view bytes) {
        m_held += bytes;
        const std::size_t whole = complete();
        std::string out = replace_invalid(std::string_view(m_held).substr(0, whole));
        m_held.erase(0, whole);
        return out;
    }
    /// What was still held back when the text ended.
    std::string finish() { return replace_invalid(std::exchange(m_held, {})); }

private:
    /// Bytes in front of a sequence that is only begun.
    [[nodiscard]] std::size_t complete() const {
        std::size_t at = 0;
        while (at < m_held.size()) {
            const utf8_unit unit = read_utf8(m_held, at);
            const auto lead = static_cast<unsigned char>(m_held[at]);
            const bool begun =
                !unit.valid && at + unit.length == m_held.size() && lead >= 0xC2 && lead <= 0xF4;
            if (begun) { break; }
            at += unit.length;
        }
        return at;
    }

    std::string m_held;
};

}  // namespace xlens::program
