// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(io)
#include <xlens/json/writer.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/storage/byte_writer.hpp>
#endif

namespace xlens {

class atomic_file;

/// A tensor that a safetensors file is to have: `dtype` is the format's word ("F32", "F16").
struct tensor_record {
    std::string name;
    std::string_view dtype;
    std::vector<std::size_t> shape;
    std::size_t bytes = 0;
};

/// What stands before the tensors' bytes, which follow in the same order without gaps: the length
/// of the header, and the header, padded so that the bytes are aligned.
XLENS_API std::string safetensors_header(const std::map<std::string, std::string>& metadata,
                                         std::span<const tensor_record> tensors);

/// A tensor of f32 that a safetensors file is to have. Borrows the numbers.
struct float_tensor {
    std::string name;
    std::vector<std::size_t> shape;
    std::span<const float> values;
};

/// Writes a safetensors file of f32 tensors, in their order, with `__metadata__`, and commits it.
/// The file was opened before the work that made the numbers, so that one that cannot be written
/// costs none.
XLENS_API void write_safetensors(atomic_file& to,
                                 const std::map<std::string, std::string>& metadata,
                                 std::span<const float_tensor> tensors);

#if XLENS_DEFINES(io)

XLENS_API std::string safetensors_header(const std::map<std::string, std::string>& metadata,
                                         std::span<const tensor_record> tensors) {
    std::string header;
    json_writer json(header);
    json.begin_object();
    json.key("__metadata__");
    json.begin_object();
    for (const auto& [key, value] : metadata) { json.field(key, value); }
    json.end_object();
    std::size_t begin = 0;
    for (const tensor_record& t : tensors) {
        json.key(t.name);
        json.begin_object();
        json.field("dtype", t.dtype);
        json.key("shape");
        json.begin_array();
        for (const std::size_t size : t.shape) { json.value(size); }
        json.end_array();
        json.key("data_offsets");
        json.begin_array();
        json.value(begin);
        begin += t.bytes;
        json.value(begin);
        json.end_array();
        json.end_object();
    }
    json.end_object();
    header.resize((header.size() + 7) / 8 * 8, ' ');
    byte_buffer out;
    byte_writer(out).string(header);
    return {reinterpret_cast<const char*>(out.bytes.data()), out.bytes.size()};
}

XLENS_API void write_safetensors(atomic_file& to,
                                 const std::map<std::string, std::string>& metadata,
                                 std::span<const float_tensor> tensors) {
    std::vector<tensor_record> records;
    for (const float_tensor& t : tensors) {
        records.push_back({t.name, "F32", t.shape, t.values.size_bytes()});
    }
    byte_writer out(to);
    const std::string header = safetensors_header(metadata, records);
    out.values(std::span(header));
    for (const float_tensor& t : tensors) { out.values(t.values); }
    to.commit();
}

#endif

}  // namespace xlens
