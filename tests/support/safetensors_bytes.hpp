// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <support/byte_writer.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace xlens::test {

/// A safetensors file: the header's length, the header as given, and `data`.
inline std::string safetensors_bytes(std::string_view header, std::string_view data) {
    return byte_writer()
        .number(static_cast<std::uint64_t>(header.size()))
        .raw(header)
        .raw(data)
        .bytes();
}
inline std::string safetensors_bytes(std::string_view header, std::size_t zeros) {
    return safetensors_bytes(header, std::string(zeros, '\0'));
}

}  // namespace xlens::test
