// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/io/float8_config.hpp>
#include <xlens/io/safetensors_parse.hpp>
#include <xlens/json/field.hpp>
#include <xlens/storage/formats.hpp>
#include <xlens/storage/stored_tensor.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Experts in MXFP4 as gpt-oss's folders have them: NAME_blocks (N, rows, cols/32, 16), whose bytes
// hold neighbours (the low nibble first), and NAME_scales (N, rows, cols/32), exponents of E8M0.
// They are brought together as GGUF's blocks, which products read: one copy, 17 bytes for 32
// weights. Its other tensors get the endings that all others have: .weight and .bias.
// Source: convert_moe_packed_tensors of transformers' integrations/mxfp4.py.

namespace xlens::detail {

using packed_map = std::map<std::string, packed_bytes, std::less<>>;

/// Whether the folder's experts are in MXFP4. Throws xlens::error for a gpt-oss folder that is not.
inline bool has_mxfp4_experts(const json_object& config) {
    const bool family = config.string("model_type", "") == "gpt_oss";
    if (!config.has("quantization_config")) {
        if (family) {
            fail("{}: experts that are not in MXFP4, which xlens reads from GGUF files alone",
                 config.file());
        }
        return false;
    }
    const json_object inner = config.object("quantization_config");
    if (!family || inner.string("quant_method", "") != "mxfp4") { return false; }
    static constexpr std::array<std::string_view, 3> known = {
        "quant_method", "modules_to_not_convert", "dequantize"};
    check_keys(inner, known);
    return true;
}

/// GGUF's block: an exponent, then elements i and i + 16 in a byte.
inline void repack_mxfp4(const std::byte* neighbours, std::byte scale, std::byte* to) {
    const auto element = [neighbours](std::size_t i) {
        return (static_cast<unsigned>(neighbours[i / 2]) >> (i % 2 * 4)) & 0x0FU;
    };
    to[0] = scale;
    for (std::size_t i = 0; i < 16; ++i) {
        to[1 + i] = static_cast<std::byte>(element(i) | element(i + 16) << 4U);
    }
}

inline std::vector<std::byte> with_exponents(const std::string& name, const packed_bytes& blocks,
                                             const packed_bytes& scales) {
    const std::vector<std::size_t> expected(blocks.shape.begin(),
                                            blocks.shape.end() - (blocks.shape.empty() ? 0 : 1));
    if (blocks.shape.size() != 4 || blocks.shape[3] != 16) {
        fail("{}: {}_blocks: expected (experts, rows, blocks, 16), got ({})", blocks.file,
             printable(name), joined(blocks.shape, ", "));
    }
    if (scales.shape != expected) {
        fail("{}: {}_scales: expected ({}), got ({})", scales.file, printable(name),
             joined(expected, ", "), joined(scales.shape, ", "));
    }
    const std::size_t count = scales.bytes;
    if (std::find(scales.data, scales.data + count, std::byte{0xFF}) != scales.data + count) {
        fail("{}: {}_scales: expected exponents up to 254, got 255, which is no number",
             scales.file, printable(name));
    }
    std::vector<std::byte> out(count * mxfp4::bytes);
    const std::size_t row = blocks.shape[2];
    parallel_for(row == 0 ? 0 : count / row, 64 * row, [&](std::size_t r) {
        for (std::size_t b = r * row; b < (r + 1) * row; ++b) {
            repack_mxfp4(blocks.data + 16 * b, scales.data[b], out.data() + mxfp4::bytes * b);
        }
    });
    return out;
}

/// Brings blocks and scales together, and renames. The result is what the tensors then point to.
inline std::vector<std::vector<std::byte>> apply_mxfp4(tensor_map& tensors,
                                                       const packed_map& packed) {
    std::vector<std::vector<std::byte>> out;
    const auto add = [&](stored_tensor t) {
        const auto [place, is_new] = tensors.emplace(t.name, std::move(t));
        if (!is_new) {
            fail("{}: tensor '{}': twice", place->second.file, printable(place->first));
        }
    };
    std::vector<std::pair<std::string, std::string>> renamed;
    for (const auto& [name, t] : tensors) {
        constexpr std::string_view bias = "_bias";
        if (name.ends_with("_proj_bias")) {
            renamed.emplace_back(name, name.substr(0, name.size() - bias.size()) + ".bias");
        } else if (name.ends_with(".sinks")) {
            renamed.emplace_back(name, name + ".weight");
        }
    }
    for (const auto& [from, to] : renamed) {
        auto node = tensors.extract(from);
        stored_tensor t = std::move(node.mapped());
        t.name = to;
        add(std::move(t));
    }
    for (const auto& [name, blocks] : packed) {
        constexpr std::string_view ending = "_blocks";
        if (!name.ends_with(ending)) { continue; }
        const std::string stem = name.substr(0, name.size() - ending.size());
        const auto scales = packed.find(stem + "_scales");
        if (scales == packed.end()) {
            fail("{}: {}: expected '{}_scales' in U8, got no such tensor", blocks.file,
                 printable(name), printable(stem));
        }
        out.push_back(with_exponents(stem, blocks, scales->second));
        add({stem + ".weight",
             format_id::mxfp4,
             {blocks.shape[0], blocks.shape[1], 32 * blocks.shape[2]},
             out.back().data(),
             out.back().size(),
             blocks.file});
    }
    return out;
}

}  // namespace xlens::detail
