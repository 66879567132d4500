// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/formats.hpp>

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace xlens {

/// A weight tensor where it lies in a mapped file: nothing is copied, so it lives no longer than
/// the reader that gave it. The readers have checked that `bytes` is what `shape` and `format`
/// need, that [data, data + bytes) is inside the file, and that the product of the shape does not
/// overflow. `data` may have any alignment.
struct stored_tensor {
    std::string name;
    format_id format{};
    std::vector<std::size_t> shape;  // C order, slowest first: a matrix is {rows, cols}; scalars {}
    const std::byte* data = nullptr;
    std::size_t bytes = 0;
    std::string file;  // for messages
};

using tensor_map = std::map<std::string, stored_tensor, std::less<>>;

/// Most tensors that a file may declare: a hundred times what a large dense model has.
inline constexpr std::size_t max_tensors = std::size_t{1} << 17U;

/// Longest header that a reader parses, the limit that the safetensors format sets.
inline constexpr std::size_t max_header_bytes = 100'000'000;

}  // namespace xlens
