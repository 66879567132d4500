// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/matrix.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace xlens::kernels {

/// Elements [first, first + count) of stored row r as f32: in place where the file holds aligned
/// f32, else decoded into `buffer` (count). `first` and `count` are multiples of the format's block.
template <class Format>
const float* decoded(const matrix<Format>& w, std::size_t r, std::size_t first, std::size_t count,
                     float* buffer) {
    const std::byte* source = w.stored_row(r) + matrix<Format>::row_bytes(first);
    if constexpr (std::is_same_v<Format, f32>) {
        if (reinterpret_cast<std::uintptr_t>(source) % alignof(float) == 0) {
            return reinterpret_cast<const float*>(source);
        }
    }
    decode_row<Format>(source, {buffer, count});
    return buffer;
}

}  // namespace xlens::kernels
