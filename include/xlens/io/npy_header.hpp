// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace xlens {

/// What stands before the numbers of a .npy file (NumPy's format, version 1.0): an array in C order
/// of this shape. `dtype` is NumPy's word ("<f4"). The numbers begin at a multiple of 64 bytes.
inline std::string npy_header(std::string_view dtype, std::span<const std::size_t> shape) {
    std::string sizes;
    for (const std::size_t size : shape) { sizes += fmt::format("{}, ", size); }
    if (shape.size() > 1) { sizes.resize(sizes.size() - 2); }  // a tuple of one keeps its comma
    if (shape.size() == 1) { sizes.pop_back(); }
    std::string text =
        fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", dtype, sizes);
    constexpr std::size_t before = 10;  // the magic, the version and the length of the text
    constexpr std::size_t alignment = 64;
    const std::size_t all = (before + text.size() + 1 + alignment - 1) / alignment * alignment;
    text.resize(all - before - 1, ' ');
    text += '\n';
    std::string out = "\x93NUMPY\x01";
    out += '\0';
    out += static_cast<char>(text.size() & 0xffU);
    out += static_cast<char>(text.size() >> 8U);
    return out + text;
}

}  // namespace xlens
