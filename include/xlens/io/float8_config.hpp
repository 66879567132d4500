// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/json/field.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Folders of 8-bit floats: what config.json's quantization_config says of the tensors of scales.
// Two ways to write them are read: "fp8" of transformers (FineGrainedFP8Config: Qwen's, DeepSeek's)
// and "compressed-tensors" in its format "float-quantized". Both also round what a layer reads to
// 8 bits while they run, at the sizes that it happens to have; xlens does not, so that a product is
// that of the stored weights, as in transformers with `dequantize`. Activations with stored scales
// are refused.

namespace xlens::detail {

/// Weight W(r, c) = code·scale(r / rows, c / cols), where the scales of a tensor NAME are NAME +
/// `suffix`. 0 rows or columns: all of them.
struct float8_scheme {
    std::string_view suffix;
    std::size_t rows = 0;
    std::size_t cols = 0;
};

/// Throws unless every key of the object is one of these.
inline void check_keys(const json_object& object, std::span<const std::string_view> known) {
    for (const auto& item : object.value().object()) {
        if (std::ranges::find(known, item.first) == known.end()) {
            fail("{}: {}: a key of quantised weights that xlens does not know", object.place(),
                 printable(item.first));
        }
    }
}
/// Throws unless the key is missing, null or this value as JSON.
inline void check_value(const json_object& object, std::string_view key, std::string_view only) {
    const auto found = object.find(key);
    if (found && found->text() != only) {
        fail("{}: expected {}, got {}", found->place(), only, printable(found->text()));
    }
}
/// Two numbers from 1 on: rows and columns of what shares a scale.
inline float8_scheme block_scheme(const json_object& object, std::string_view key,
                                  std::string_view suffix) {
    const auto sizes = object.unsigned_integers(key);
    constexpr std::uint64_t most = std::uint64_t{1} << 32U;
    if (sizes.size() != 2 || std::ranges::any_of(sizes, [](auto n) { return n < 1 || n > most; })) {
        fail("{}: {}: expected two sizes from 1 to 2^32, got [{}]", object.place(), key,
             joined(sizes, ", "));
    }
    return {suffix, static_cast<std::size_t>(sizes[0]), static_cast<std::size_t>(sizes[1])};
}

inline float8_scheme read_fine_grained_scheme(const json_object& config) {
    static constexpr std::array<std::string_view, 10> known = {
        "quant_method",      "activation_scheme",
        "weight_block_size", "fmt",
        "dequantize",        "modules_to_not_convert",
        "ignored_layers",    "modules_to_convert",
        "scale_fmt",         "expert_dtype"};
    check_keys(config, known);
    check_value(config, "activation_scheme", "\"dynamic\"");
    check_value(config, "fmt", "\"e4m3\"");
    check_value(config, "expert_dtype", "\"fp8\"");
    constexpr std::string_view suffix = "_scale_inv";
    if (!config.has("weight_block_size")) { return {suffix}; }
    return block_scheme(config, "weight_block_size", suffix);
}

/// What one of config_groups says.
inline float8_scheme read_compressed_group(const json_object& group) {
    static constexpr std::array<std::string_view, 5> known = {
        "format", "input_activations", "output_activations", "targets", "weights"};
    check_keys(group, known);
    check_value(group, "format", "\"float-quantized\"");
    check_value(group, "output_activations", "null");
    if (group.has("input_activations")) {
        check_value(group.object("input_activations"), "dynamic", "true");
    }
    const json_object weights = group.object("weights");
    static constexpr std::array<std::string_view, 13> of_weights = {
        "num_bits",    "type",
        "symmetric",   "dynamic",
        "group_size",  "actorder",
        "observer",    "observer_kwargs",
        "strategy",    "block_structure",
        "scale_dtype", "zp_dtype",
        "is_mx"};
    check_keys(weights, of_weights);
    check_value(weights, "num_bits", "8");
    check_value(weights, "type", "\"float\"");
    check_value(weights, "symmetric", "true");
    check_value(weights, "dynamic", "false");
    check_value(weights, "group_size", "null");
    check_value(weights, "actorder", "null");
    check_value(weights, "is_mx", "false");
    constexpr std::string_view suffix = "_scale";
    const std::string strategy = weights.string("strategy");
    if (strategy == "tensor") { return {suffix}; }
    if (strategy == "channel") { return {suffix, 1, 0}; }
    if (strategy == "block") { return block_scheme(weights, "block_structure", suffix); }
    fail("{}: strategy: expected \"tensor\", \"channel\" or \"block\", got {}", weights.place(),
         printable(strategy));
}

inline float8_scheme read_compressed_scheme(const json_object& config) {
    static constexpr std::array<std::string_view, 12> known = {
        "quant_method",    "format",           "config_groups",
        "ignore",          "kv_cache_scheme",  "global_compression_ratio",
        "sparsity_config", "transform_config", "quantization_status",
        "version",         "run_compressed",   "dequantize"};
    check_keys(config, known);
    check_value(config, "format", "\"float-quantized\"");
    check_value(config, "kv_cache_scheme", "null");
    for (const char* key : {"sparsity_config", "transform_config"}) {
        if (!config.has(key)) { continue; }
        const json_object inner = config.object(key);
        static constexpr std::array<std::string_view, 1> format = {"format"};
        check_keys(inner, format);
        check_value(inner, "format", "\"dense\"");
    }
    const json_object groups = config.object("config_groups");
    std::optional<float8_scheme> out;
    for (const auto& item : groups.value().object()) {
        const float8_scheme one = read_compressed_group(groups.object(item.first));
        if (out && (out->rows != one.rows || out->cols != one.cols)) {
            fail("{}: expected groups of one kind of scales, got several", groups.place());
        }
        out = one;
    }
    if (!out) { fail("{}: expected a group, got none", groups.place()); }
    return *out;
}

/// How the folder's 8-bit floats are scaled, or nothing where it is not quantised. Throws
/// xlens::error for a way that xlens does not read.
inline std::optional<float8_scheme> read_float8_scheme(const json_object& config) {
    if (!config.has("quantization_config")) { return std::nullopt; }
    const auto method = config.at("quantization_config").find("quant_method");
    const std::string name =
        method && method->value().is_string() ? method->string() : std::string();
    const json_object inner = config.object("quantization_config");
    if (name == "fp8") { return read_fine_grained_scheme(inner); }
    if (name == "compressed-tensors" && inner.string("format", "") == "float-quantized") {
        return read_compressed_scheme(inner);
    }
    fail(
        "{}: quantization_config: weights that another library has quantised ({}), which xlens "
        "does not read: take a folder in F32, F16, BF16 or F8, or a GGUF file",
        config.file(), method ? printable(method->text()) : "by no method that it names");
}

}  // namespace xlens::detail
