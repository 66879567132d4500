// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/checked.hpp>
#include <xlens/core/error.hpp>
#include <xlens/core/sort_once.hpp>
#include <xlens/io/safetensors_types.hpp>
#include <xlens/json/field.hpp>
#include <xlens/json/reader.hpp>
#include <xlens/storage/byte_reader.hpp>
#include <xlens/storage/stored_tensor.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace xlens {

/// A tensor of bytes (U8) that may be packed weights, where it lies in the file.
struct packed_bytes {
    std::vector<std::size_t> shape;
    const std::byte* data = nullptr;
    std::size_t bytes = 0;
    std::string file;
};

/// What a safetensors file holds. Tensors point into the file's bytes.
struct safetensors_contents {
    tensor_map tensors;                                       // F32, F16, BF16, F8_E4M3, F8_E5M2
    std::map<std::string, std::string, std::less<>> skipped;  // integer tensors: name -> dtype
    std::map<std::string, packed_bytes, std::less<>> packed;  // of these, those in U8
    std::map<std::string, std::string, std::less<>> metadata;
};

namespace detail {

struct safetensors_entry {
    std::uint64_t begin = 0;  // counted from the start of the data
    std::uint64_t end = 0;
    std::string name;
    safetensors_type type;
    std::vector<std::size_t> shape;
};

/// What stands where an unsigned integer should, for messages. The parser keeps -0 as a signed 0.
inline std::string unsigned_array_element(const json_value& element) {
    if (element.is_integer() && element.number() == 0.0) { return "-0"; }
    return printable(element.text());
}

/// Array `key` of a tensor's entry, every element an integer of at least 0.
inline std::vector<std::uint64_t> read_unsigned_array(const std::string& file,
                                                      const std::string& label,
                                                      const json_value& entry, const char* key) {
    const json_value* found = entry.find(key);
    if (found == nullptr || !found->is_list()) {
        fail("{}: {}: {}: expected an array of integers, got {}", file, label, key,
             found == nullptr ? "no such key" : found->type_name());
    }
    std::vector<std::uint64_t> out;
    for (const json_value& element : found->list()) {
        if (!element.is_unsigned()) {
            fail("{}: {}: {}: expected integers from 0 to 2^64 - 1, got {}", file, label, key,
                 unsigned_array_element(element));
        }
        out.push_back(element.unsigned_integer());
    }
    return out;
}

/// Bytes of a tensor of `shape`; fails where the product overflows.
inline std::uint64_t safetensors_bytes(const std::string& file, const std::string& label,
                                       const safetensors_type& type,
                                       const std::vector<std::uint64_t>& shape) {
    std::uint64_t bytes = type.bytes;
    for (const std::uint64_t size : shape) {
        const auto product = checked_multiply(bytes, size);
        if (!product) {
            fail("{}: {}: shape: {} elements of {} are more bytes than 2^64 - 1", file, label,
                 joined(shape, " x "), type.name);
        }
        bytes = *product;
    }
    return bytes;
}

inline safetensors_entry read_safetensors_entry(const std::string& file, const std::string& name,
                                                const json_value& json) {
    const auto label = fmt::format("tensor '{}'", printable(name));
    if (name.find('\0') != std::string::npos) {
        fail("{}: {}: expected a name without NUL", file, label);
    }
    const json_object fields(file, json, label);
    const auto dtype = fields.string("dtype");
    const auto type = find_safetensors_type(dtype);
    if (!type) {
        fail("{}: {}: dtype '{}' is not a safetensors type", file, label, printable(dtype));
    }
    if (!type->format && !type->is_integer) {
        fail(
            "{}: {}: dtype {} is not supported: expected F32, F16, BF16, F8_E4M3 or "
            "F8_E5M2",
            file, label, dtype);
    }
    const auto shape = read_unsigned_array(file, label, json, "shape");
    const auto offsets = read_unsigned_array(file, label, json, "data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1]) {
        fail("{}: {}: data_offsets: expected [begin, end] with begin <= end, got [{}]", file, label,
             joined(offsets, ", "));
    }
    const auto bytes = safetensors_bytes(file, label, *type, shape);
    if (bytes != offsets[1] - offsets[0]) {
        fail("{}: {}: expected {} bytes for {} and shape [{}], got data_offsets [{}]", file, label,
             bytes, type->name, joined(shape, ", "), joined(offsets, ", "));
    }
    return {offsets[0], offsets[1], name, *type, {shape.begin(), shape.end()}};
}

/// The tensors must fill the data from the first byte to the last: no hole, no overlap, no rest.
inline void check_safetensors_layout(const std::string& file,
                                     std::vector<safetensors_entry>& entries, std::size_t size) {
    sort_once(entries, [](const safetensors_entry& a, const safetensors_entry& b) {
        return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
    });
    std::uint64_t end = 0;
    for (const auto& entry : entries) {
        if (entry.begin != end) {
            fail(
                "{}: tensor '{}': data_offsets: expected to begin at {}, where the tensor before "
                "it "
                "ends, got {}",
                file, printable(entry.name), end, entry.begin);
        }
        end = entry.end;
        if (end > size) {
            fail(
                "{}: tensor '{}': data_offsets: expected an end of at most {}, got {}: the file is "
                "too short",
                file, printable(entry.name), size, end);
        }
    }
    if (end != size) {
        fail("{}: expected {} bytes of data, where the last tensor ends, got {}", file, end, size);
    }
}

inline std::map<std::string, std::string, std::less<>> read_safetensors_metadata(
    const std::string& file, const json_value& json) {
    const json_object fields(file, json, "__metadata__");
    std::map<std::string, std::string, std::less<>> out;
    for (const auto& item : json.object()) { out.emplace(item.first, fields.string(item.first)); }
    return out;
}

}  // namespace detail

/// Checks the whole header of a safetensors file and returns what it declares. The data are not
/// touched. White space before the header's first brace is accepted, as the reference reader does
/// (writers that align to pages put it there), and so is white space after its last one.
/// O(header); memory at most a few dozen times the header.
/// Format: README of huggingface/safetensors.
inline safetensors_contents parse_safetensors(const std::string& file,
                                              std::span<const std::byte> bytes) {
    byte_reader in(file, bytes);
    const auto length = in.number<std::uint64_t>("header length");
    if (length > max_header_bytes) {
        fail("{}: header length: expected at most {}, got {}", file, max_header_bytes, length);
    }
    const auto header =
        parse_json(file + ": header", in.take(length, "header"), {.values = 16 * max_tensors});
    const auto data = bytes.subspan(in.position());
    const json_object fields(file, header, "header");
    const json_members& members = header.object();
    if (members.size() > max_tensors) {
        fail("{}: header: expected at most {} tensors, got {}", file, max_tensors, members.size());
    }
    safetensors_contents out;
    std::vector<detail::safetensors_entry> entries;
    for (const auto& [name, value] : members) {
        if (name == "__metadata__") {
            out.metadata = detail::read_safetensors_metadata(file, value);
        } else {
            entries.push_back(detail::read_safetensors_entry(file, name, value));
        }
    }
    detail::check_safetensors_layout(file, entries, data.size());
    for (auto& e : entries) {
        if (e.type.format) {
            out.tensors.emplace(
                e.name,
                stored_tensor{e.name, *e.type.format, std::move(e.shape), data.data() + e.begin,
                              static_cast<std::size_t>(e.end - e.begin), file});
        } else {
            out.skipped.emplace(e.name, e.type.name);
            if (e.type.name != "U8") { continue; }
            out.packed.emplace(e.name,
                               packed_bytes{std::move(e.shape), data.data() + e.begin,
                                            static_cast<std::size_t>(e.end - e.begin), file});
        }
    }
    return out;
}

}  // namespace xlens
