// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/lens/lens_facts.hpp>
#include <xlens/lens/linear_lens.hpp>

#include <filesystem>

#if XLENS_DEFINES(lens)
#include <xlens/core/error.hpp>
#include <xlens/io/torch_file.hpp>
#include <xlens/json/field.hpp>
#include <xlens/json/reader.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>
#endif

namespace xlens {

/// Reads a published tuned lens (AlignmentResearch/tuned-lens): a folder with config.json and
/// params.pt, a state dict of "i.weight" (D, D) and "i.bias" (D), i = 0 … L-1:
///   h' = h + W_i·h + b_i,  logits = U·norm_f(h')
/// Its map i reads the residual that *enters* block i, so that map 0 is the embedding's and map
/// i + 1 stands here as that of layer i; the last layer has none. Throws xlens::error for a config
/// that asks for what is not in this formula, and for tensors that do not fit it.
XLENS_API void read_tuned_lens(const std::filesystem::path& folder, lens_facts& facts,
                               linear_lens& lens);

#if XLENS_DEFINES(lens)

namespace detail {

/// Throws for keys of old configs that mean another computation, unless they are off.
inline void check_tuned_config(const json_object& config) {
    const std::string type = config.string("lens_type", "linear_tuned_lens");
    if (type != "linear_tuned_lens") {
        fail("{}: lens_type: expected linear_tuned_lens, got {}", config.name(), printable(type));
    }
    static constexpr std::array<std::string_view, 8> others{
        "layer_norm", "rank",         "share_weights",    "sublayers",
        "dropout",    "extra_layers", "mlp_hidden_sizes", "shared_mlp_hidden_sizes"};
    for (const std::string_view key : others) {
        const auto found = config.find(key);
        if (!found) { continue; }
        const json_value& v = found->value();
        const bool off = (v.is_list() && v.list().empty()) || v.text() == "false" ||
                         v.text() == "0" || v.text() == "0.0";
        if (!off) { fail("{}: {}: {} is not supported", config.name(), key, found->text()); }
    }
}

inline translator tuned_map(const torch_file& file, std::size_t i, std::size_t width, bool bias) {
    const auto get = [&](const char* part, const std::vector<std::size_t>& shape) {
        const std::string key = std::to_string(i) + part;
        const pickle_value* v = file.root().find(key);
        if (v == nullptr) { fail("{}: {}: no such tensor", file.name(), key); }
        return file.read(*v, shape, key);
    };
    const std::vector<float> weights = get(".weight", {width, width});
    const std::vector<float> biases = bias ? get(".bias", {width}) : std::vector<float>();
    translator out{xt::empty<float>({width, width}), xt::empty<float>({biases.size()}),
                   translation::added};
    std::ranges::copy(weights, out.weights.begin());
    std::ranges::copy(biases, out.bias.begin());
    return out;
}

}  // namespace detail

XLENS_API void read_tuned_lens(const std::filesystem::path& folder, lens_facts& facts,
                               linear_lens& lens) {
    const std::filesystem::path path = folder / "config.json";
    const json_value document = read_json(path);
    const json_object config(printable(path.string(), 1024), document);
    detail::check_tuned_config(config);
    const std::size_t width = config.unsigned_integer("d_model");
    const std::size_t layers = config.unsigned_integer("num_hidden_layers");
    const bool bias = config.boolean("bias", true);
    const torch_file file(folder / "params.pt");
    const pickle_value& state = file.root();
    if (state.is != pickle_value::kind::dict) {
        fail("{}: expected a dict of tensors, got {}", file.name(), state.kind_name());
    }
    const std::size_t expected = bias ? 2 * layers : layers;
    if (state.members.size() != expected) {
        fail("{}: expected {} tensors of {} layers, got {}", file.name(), expected, layers,
             state.members.size());
    }
    for (std::size_t i = 0; i < layers; ++i) {
        translator t = detail::tuned_map(file, i, width, bias);
        i == 0 ? lens.set_embedding(std::move(t)) : lens.set(i - 1, std::move(t));
    }
    facts = {"tuned", "tuned-lens", config.string("base_model_name_or_path", ""), 0, width, layers,
             0};
}

#endif

}  // namespace xlens
