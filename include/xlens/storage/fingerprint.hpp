// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/hash.hpp>
#include <xlens/storage/formats.hpp>
#include <xlens/storage/stored_tensor.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace xlens {

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
