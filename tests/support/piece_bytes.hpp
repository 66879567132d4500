// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstring>
#include <string>

namespace xlens::test {

/// A number as protobuf writes one.
inline std::string varint_bytes(unsigned value) {
    std::string out;
    for (; value >= 128; value >>= 7U) { out += static_cast<char>(value % 128 + 128); }
    return out + static_cast<char>(value);
}

/// A field of bytes in protobuf's wire format.
inline std::string wire_bytes(unsigned number, const std::string& bytes) {
    return varint_bytes(number << 3U | 2U) + varint_bytes(static_cast<unsigned>(bytes.size())) +
           bytes;
}

/// A field that is a number.
inline std::string wire_number(unsigned number, unsigned value) {
    return varint_bytes(number << 3U) + varint_bytes(value);
}

/// A piece of a SentencePiece model file.
inline std::string piece_bytes(const std::string& text, float score, unsigned type) {
    std::string bytes(sizeof score, '\0');
    std::memcpy(bytes.data(), &score, sizeof score);
    return wire_bytes(1, wire_bytes(1, text) + "\x15" + bytes + wire_number(3, type));
}

}  // namespace xlens::test
