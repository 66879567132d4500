// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/io/gguf_tensors.hpp>
#include <xlens/io/gguf_types.hpp>
#include <xlens/io/gguf_value.hpp>
#include <xlens/storage/byte_reader.hpp>
#include <xlens/storage/stored_tensor.hpp>

#include <fmt/core.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace xlens {

inline constexpr std::size_t max_gguf_keys = std::size_t{1} << 16U;
inline constexpr std::size_t max_gguf_key_length = 65'535;  // the format's own limit
inline constexpr std::uint32_t max_gguf_alignment = std::uint32_t{1} << 20U;
inline constexpr std::uint64_t default_gguf_alignment = 32;

/// What a GGUF file holds. Values and tensors point into the file's bytes.
struct gguf_contents {
    std::map<std::string, gguf_value, std::less<>> metadata;
    tensor_map tensors;
};

namespace detail {

inline void check_gguf_magic(byte_reader& in) {
    const auto magic = in.take(4, "magic");
    const std::string_view text(reinterpret_cast<const char*>(magic.data()), magic.size());
    if (text != "GGUF") {
        fail("{}: magic: expected 'GGUF', got '{}': not a GGUF file", in.file(), printable(text));
    }
    const auto version = in.number<std::uint32_t>("version");
    if (version != 0 && (version & 0xffffU) == 0) {
        fail("{}: version: expected 2 or 3, got {}: a big-endian file, which is not supported",
             in.file(), fmt::format("{:#010x}", version));
    }
    if (version != 2 && version != 3) {
        fail("{}: version: expected 2 or 3, got {}", in.file(), version);
    }
}

inline std::size_t read_gguf_count(byte_reader& in, std::string_view field, std::size_t most) {
    const auto count = in.number<std::uint64_t>(field);
    if (count > most) {
        fail("{}: {}: expected 0 to {}, got {}", in.file(), field, most,
             static_cast<std::int64_t>(count));
    }
    return static_cast<std::size_t>(count);
}

inline void read_gguf_metadata(byte_reader& in, std::size_t count, gguf_contents& out) {
    for (std::size_t i = 0; i < count; ++i) {
        auto key = read_gguf_name(in, fmt::format("key {} of {}", i, count), max_gguf_key_length);
        const auto field = fmt::format("value of key '{}'", printable(key));
        if (out.metadata.contains(key)) {
            fail("{}: key {} of {}: '{}' appears twice", in.file(), i, count, printable(key));
        }
        const auto value = read_gguf_value(in, field);
        out.metadata.emplace(std::move(key), value);
    }
}

inline std::uint64_t gguf_alignment(std::string_view file, const gguf_contents& contents) {
    const auto found = contents.metadata.find("general.alignment");
    if (found == contents.metadata.end()) { return default_gguf_alignment; }
    const gguf_value& value = found->second;
    if (value.is_array || value.type != gguf_type::uint32) {
        fail("{}: general.alignment: expected uint32, got {}", file, describe(value));
    }
    const auto alignment = load_number<std::uint32_t>(value.bytes.data());
    if (!std::has_single_bit(alignment) || alignment > max_gguf_alignment) {
        fail("{}: general.alignment: expected a power of two up to {}, got {}", file,
             max_gguf_alignment, alignment);
    }
    return alignment;
}

/// An integer that a file of several parts must have.
inline std::uint64_t gguf_split_number(const std::string& file, const gguf_contents& contents,
                                       const char* key) {
    const auto found = contents.metadata.find(key);
    if (found == contents.metadata.end()) {
        fail("{}: {}: expected an integer, got no such key", file, key);
    }
    const gguf_value& value = found->second;
    const auto number = value.is_array
                            ? std::nullopt
                            : load_gguf_integer<std::uint64_t>(value.type, value.bytes.data());
    if (!number) { fail("{}: {}: expected an integer, got {}", file, key, describe(value)); }
    return *number;
}

/// Of how many files this one is a part; 1 where it says nothing.
inline std::uint64_t gguf_parts(const std::string& file, const gguf_contents& contents) {
    if (!contents.metadata.contains("split.count")) { return 1; }
    const std::uint64_t parts = gguf_split_number(file, contents, "split.count");
    return parts == 0 ? 1 : parts;
}

}  // namespace detail

/// Checks the whole header of a GGUF file, version 2 or 3, and returns what it declares. The data
/// of the tensors are not touched. Of a file in parts (split.count) it reads the one.
/// O(header); memory at most a few times the header.
/// Format: docs/gguf.md of ggml-org/ggml.
inline gguf_contents parse_gguf(const std::string& file, std::span<const std::byte> bytes) {
    gguf_contents out;
    byte_reader in(file, bytes, max_header_bytes);
    detail::check_gguf_magic(in);
    const auto tensors = detail::read_gguf_count(in, "number of tensors", max_tensors);
    const auto keys = detail::read_gguf_count(in, "number of keys", max_gguf_keys);
    detail::read_gguf_metadata(in, keys, out);
    const auto alignment = detail::gguf_alignment(file, out);
    const auto list = detail::read_gguf_tensors(in, tensors, alignment, out.tensors);
    detail::place_gguf_tensors(file, bytes, in.position(), alignment, list);
    return out;
}

}  // namespace xlens
