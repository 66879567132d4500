// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/io/safetensors_writer.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>

#if XLENS_DEFINES(io)
#include <xlens/io/gguf_parse.hpp>
#include <xlens/io/gguf_types.hpp>
#include <xlens/storage/atomic_file.hpp>
#include <xlens/storage/byte_writer.hpp>

#include <cstddef>
#include <string_view>
#include <vector>
#endif

namespace xlens {

class atomic_file;

/// A key of a GGUF file that is to be written.
using gguf_entry = std::pair<std::string, std::variant<std::string, std::int32_t>>;

/// Writes a GGUF file, version 3, of f32 tensors with their keys, in their order, and commits it.
/// A tensor's shape is given as safetensors has it, slowest dimension first.
/// Format: docs/gguf.md of ggml-org/ggml.
XLENS_API void write_gguf(atomic_file& to, std::span<const gguf_entry> keys,
                          std::span<const float_tensor> tensors);

#if XLENS_DEFINES(io)

XLENS_API void write_gguf(atomic_file& to, std::span<const gguf_entry> keys,
                          std::span<const float_tensor> tensors) {
    constexpr std::uint32_t format_version = 3;
    constexpr std::uint32_t type_f32 = 0;
    const auto padded = [](std::size_t size) {
        return (size + default_gguf_alignment - 1) / default_gguf_alignment *
               default_gguf_alignment;
    };
    byte_buffer header;
    byte_writer out(header);
    out.values(std::span(std::string_view("GGUF")));
    out.value(format_version);
    out.size(tensors.size());
    out.size(keys.size());
    for (const auto& [key, value] : keys) {
        out.string(key);
        if (const auto* text = std::get_if<std::string>(&value)) {
            out.value(static_cast<std::uint32_t>(gguf_type::string));
            out.string(*text);
        } else {
            out.value(static_cast<std::uint32_t>(gguf_type::int32));
            out.value(std::get<std::int32_t>(value));
        }
    }
    std::size_t offset = 0;
    for (const float_tensor& t : tensors) {
        out.string(t.name);
        out.value(static_cast<std::uint32_t>(t.shape.size()));
        for (std::size_t i = t.shape.size(); i-- > 0;) { out.size(t.shape[i]); }
        out.value(type_f32);
        out.size(offset);
        offset += padded(t.values.size_bytes());
    }
    header.bytes.resize(padded(header.bytes.size()));
    to.write(header.bytes);
    for (const float_tensor& t : tensors) {
        to.write(std::as_bytes(t.values));
        to.write(std::vector<std::byte>(padded(t.values.size_bytes()) - t.values.size_bytes()));
    }
    to.commit();
}

#endif

}  // namespace xlens
