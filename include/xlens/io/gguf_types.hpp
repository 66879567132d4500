// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/formats.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace xlens {

/// The type of a metadata value in a GGUF file; the numbers are the file's.
enum class gguf_type : std::uint32_t {
    uint8,
    int8,
    uint16,
    int16,
    uint32,
    int32,
    float32,
    boolean,
    string,
    array,
    uint64,
    int64,
    float64
};
inline constexpr std::size_t gguf_type_count = 13;

inline constexpr std::string_view gguf_type_name(gguf_type type) {
    constexpr std::array<std::string_view, gguf_type_count> names = {
        "uint8", "int8",   "uint16", "int16",  "uint32", "int32",  "float32",
        "bool",  "string", "array",  "uint64", "int64",  "float64"};
    return names[static_cast<std::size_t>(type)];
}

/// Bytes of one value; 0 for strings and arrays, whose size the file says.
inline constexpr std::size_t gguf_type_bytes(gguf_type type) {
    constexpr std::array<std::size_t, gguf_type_count> bytes = {1, 1, 2, 2, 4, 4, 4,
                                                                1, 0, 0, 8, 8, 8};
    return bytes[static_cast<std::size_t>(type)];
}

/// A tensor type that GGUF knows: `format` is empty where xlens cannot compute with it.
struct gguf_tensor_type {
    std::uint32_t id;
    std::string_view name;
    std::optional<format_id> format;
};

/// The tensor type of number `id`; nothing where GGUF has none, or had one and removed it (4, 5,
/// 31-33, 36-38). Numbers: ggml_type in ggml.h.
inline std::optional<gguf_tensor_type> find_gguf_tensor_type(std::uint32_t id) {
    static constexpr std::optional<format_id> none;
    static constexpr std::array<gguf_tensor_type, 34> types = {{
        {0, "F32", format_id::f32},
        {1, "F16", format_id::f16},
        {2, "Q4_0", format_id::q4_0},
        {3, "Q4_1", format_id::q4_1},
        {6, "Q5_0", format_id::q5_0},
        {7, "Q5_1", format_id::q5_1},
        {8, "Q8_0", format_id::q8_0},
        {9, "Q8_1", none},
        {10, "Q2_K", format_id::q2_k},
        {11, "Q3_K", format_id::q3_k},
        {12, "Q4_K", format_id::q4_k},
        {13, "Q5_K", format_id::q5_k},
        {14, "Q6_K", format_id::q6_k},
        {15, "Q8_K", none},
        {16, "IQ2_XXS", format_id::iq2_xxs},
        {17, "IQ2_XS", format_id::iq2_xs},
        {18, "IQ3_XXS", format_id::iq3_xxs},
        {19, "IQ1_S", format_id::iq1_s},
        {20, "IQ4_NL", format_id::iq4_nl},
        {21, "IQ3_S", format_id::iq3_s},
        {22, "IQ2_S", format_id::iq2_s},
        {23, "IQ4_XS", format_id::iq4_xs},
        {24, "I8", none},
        {25, "I16", none},
        {26, "I32", none},
        {27, "I64", none},
        {28, "F64", none},
        {29, "IQ1_M", format_id::iq1_m},
        {30, "BF16", format_id::bf16},
        {34, "TQ1_0", format_id::tq1_0},
        {35, "TQ2_0", format_id::tq2_0},
        {39, "MXFP4", format_id::mxfp4},
        {40, "NVFP4", format_id::nvfp4},
        {41, "Q1_0", none},
    }};
    for (const auto& type : types) {
        if (type.id == id) { return type; }
    }
    return std::nullopt;
}

/// "F32, F16, ...": the tensor types that xlens computes with, for messages.
inline std::string supported_gguf_tensor_types() {
    std::string out;
    for (std::uint32_t id = 0; id <= 41; ++id) {
        const auto type = find_gguf_tensor_type(id);
        if (!type || !type->format) { continue; }
        if (!out.empty()) { out += ", "; }
        out += type->name;
    }
    return out;
}

}  // namespace xlens
