// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/storage/formats.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace xlens {

/// A dtype that safetensors knows. `format` is empty where xlens cannot compute with it. Integers
/// and booleans are no weights (attention masks, position ids): readers keep them aside.
struct safetensors_type {
    std::string_view name;
    std::size_t bytes = 0;  // of an element; 0 where xlens reads none
    bool is_integer = false;
    std::optional<format_id> format{};
};

/// The dtype of that name, or nothing. List: Dtype in tensor.rs of huggingface/safetensors.
inline std::optional<safetensors_type> find_safetensors_type(std::string_view name) {
    static constexpr std::array types = {
        safetensors_type{"F32", 4, false, format_id::f32},
        safetensors_type{"F16", 2, false, format_id::f16},
        safetensors_type{"BF16", 2, false, format_id::bf16},
        safetensors_type{"BOOL", 1, true},
        safetensors_type{"U8", 1, true},
        safetensors_type{"I8", 1, true},
        safetensors_type{"U16", 2, true},
        safetensors_type{"I16", 2, true},
        safetensors_type{"U32", 4, true},
        safetensors_type{"I32", 4, true},
        safetensors_type{"U64", 8, true},
        safetensors_type{"I64", 8, true},
        safetensors_type{"F64"},
        safetensors_type{"C64"},
        safetensors_type{"F8_E5M2", 1, false, format_id::f8_e5m2},
        safetensors_type{"F8_E4M3", 1, false, format_id::f8_e4m3},
        safetensors_type{"F8_E8M0"},
        safetensors_type{"F8_E4M3FNUZ"},
        safetensors_type{"F8_E5M2FNUZ"},
        safetensors_type{"F6_E2M3"},
        safetensors_type{"F6_E3M2"},
        safetensors_type{"F4"},
    };
    for (const auto& type : types) {
        if (type.name == name) { return type; }
    }
    return std::nullopt;
}

}  // namespace xlens
