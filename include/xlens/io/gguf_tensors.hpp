// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/checked.hpp>
#include <xlens/core/error.hpp>
#include <xlens/io/gguf_types.hpp>
#include <xlens/io/gguf_value.hpp>
#include <xlens/storage/byte_reader.hpp>
#include <xlens/storage/stored_tensor.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xlens {

inline constexpr std::size_t max_gguf_tensor_name = 63;  // GGML_MAX_NAME - 1
inline constexpr std::uint32_t max_gguf_dimensions = 4;  // GGML_MAX_DIMS

namespace detail {

/// value rounded up to a multiple of `alignment`, a power of two; nothing where that does not fit.
inline std::optional<std::uint64_t> aligned(std::uint64_t value, std::uint64_t alignment) {
    const auto above = checked_add(value, alignment - 1);
    return above ? std::optional(*above & ~(alignment - 1)) : std::nullopt;
}

/// The sizes of a tensor, slowest first. Their product is at most 2^63 - 1.
inline std::vector<std::size_t> read_gguf_shape(byte_reader& in, const std::string& tensor) {
    const auto rank = in.number<std::uint32_t>(tensor + ": number of dimensions");
    if (rank > max_gguf_dimensions) {
        fail("{}: {}: expected at most {} dimensions, got {}", in.file(), tensor,
             max_gguf_dimensions, rank);
    }
    constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    std::vector<std::size_t> shape(rank);
    std::uint64_t elements = 1;
    for (std::uint32_t d = 0; d < rank; ++d) {
        const auto size = in.number<std::uint64_t>(tensor + ": dimensions");
        if (size > most) {
            fail("{}: {}: dimension {}: expected at least 0, got {}", in.file(), tensor, d,
                 static_cast<std::int64_t>(size));
        }
        const auto product = checked_multiply(elements, size);
        if (!product || *product > most) {
            fail("{}: {}: dimension {} is {}: the tensor has more than 2^63 - 1 elements",
                 in.file(), tensor, d, size);
        }
        elements = *product;
        shape[rank - 1 - d] = static_cast<std::size_t>(size);
    }
    return shape;
}

inline format_id read_gguf_format(byte_reader& in, const std::string& tensor) {
    const auto id = in.number<std::uint32_t>(tensor + ": type");
    const auto type = find_gguf_tensor_type(id);
    if (!type) { fail("{}: {}: type {} is not a GGUF tensor type", in.file(), tensor, id); }
    if (!type->format) {
        fail("{}: {}: type {} is not supported: expected one of {}", in.file(), tensor, type->name,
             supported_gguf_tensor_types());
    }
    return *type->format;
}

/// Bytes of a tensor; its rows must be whole blocks.
inline std::uint64_t gguf_tensor_bytes(std::string_view file, const std::string& tensor,
                                       format_id format, const std::vector<std::size_t>& shape) {
    const std::uint64_t block = format_block(format);
    const std::uint64_t row = shape.empty() ? 1 : shape.back();
    if (row % block != 0) {
        fail("{}: {}: expected rows of a multiple of {} elements for {}, got {}", file, tensor,
             block, format_name(format), row);
    }
    std::uint64_t elements = 1;  // read_gguf_shape has checked the product
    for (const std::uint64_t size : shape) { elements *= size; }
    const auto bytes = checked_multiply<std::uint64_t>(elements / block, format_bytes(format));
    if (!bytes || !std::in_range<std::size_t>(*bytes)) {
        fail("{}: {}: {} elements of {} are more bytes than can be addressed", file, tensor,
             elements, format_name(format));
    }
    return *bytes;
}

/// Where the tensors lie, counted from the start of the data.
struct gguf_tensor_list {
    std::vector<std::pair<stored_tensor*, std::uint64_t>> offsets;
    std::uint64_t end = 0;  // of the last tensor, without padding
};

/// Reads the tensor list: sizes, and offsets that must follow one another, each padded to
/// `alignment`. stored_tensor::data is left for place_gguf_tensors, since only the end of the list
/// says where the data begin.
inline gguf_tensor_list read_gguf_tensors(byte_reader& in, std::size_t count,
                                          std::uint64_t alignment, tensor_map& out) {
    gguf_tensor_list list;
    for (std::size_t i = 0; i < count; ++i) {
        stored_tensor t;
        t.file = std::string(in.file());
        t.name = read_gguf_name(in, fmt::format("name of tensor {} of {}", i, count),
                                max_gguf_tensor_name);
        const auto label = fmt::format("tensor '{}'", printable(t.name));
        t.shape = read_gguf_shape(in, label);
        t.format = read_gguf_format(in, label);
        const auto bytes = gguf_tensor_bytes(in.file(), label, t.format, t.shape);
        t.bytes = static_cast<std::size_t>(bytes);
        const auto offset = in.number<std::uint64_t>(label + ": offset");
        const auto expected = aligned(list.end, alignment);
        if (!expected || offset != *expected) {
            fail("{}: {}: offset: expected {}, where the tensor before it ends, got {}", in.file(),
                 label, expected ? std::to_string(*expected) : "less than 2^64", offset);
        }
        const auto end = checked_add(offset, bytes);
        if (!end) {
            fail("{}: {}: {} bytes at {} do not fit any file", in.file(), label, bytes, offset);
        }
        list.end = *end;
        auto name = t.name;
        const auto [place, is_new] = out.emplace(std::move(name), std::move(t));
        if (!is_new) { fail("{}: {} appears twice", in.file(), label); }
        list.offsets.emplace_back(&place->second, offset);
    }
    return list;
}

/// Points the tensors at their data, which begin at the first multiple of `alignment` after the
/// header. The file must end with the last tensor or with the padding after it: llama.cpp ignores
/// what follows, but bytes that no reader looks at are where a second file can hide.
inline void place_gguf_tensors(const std::string& file, std::span<const std::byte> bytes,
                               std::uint64_t header_end, std::uint64_t alignment,
                               const gguf_tensor_list& list) {
    const std::uint64_t begin = *aligned(header_end, alignment);  // both are small
    for (const auto& [tensor, offset] : list.offsets) {
        const auto start = checked_add(begin, offset);
        const auto end = start ? checked_add<std::uint64_t>(*start, tensor->bytes) : std::nullopt;
        if (tensor->bytes > 0 && (!end || *end > bytes.size())) {
            fail("{}: tensor '{}': expected {} bytes at byte {} + {}, got a file of {} bytes", file,
                 printable(tensor->name), tensor->bytes, begin, offset, bytes.size());
        }
        tensor->data = tensor->bytes > 0 ? bytes.data() + begin + offset : bytes.data();
    }
    const auto longest = *aligned(begin + list.end, alignment);  // begin + end <= file size
    if (bytes.size() > longest) {
        fail("{}: expected the file to end at byte {}, after its last tensor, got {} bytes", file,
             longest, bytes.size());
    }
}

}  // namespace detail

}  // namespace xlens
