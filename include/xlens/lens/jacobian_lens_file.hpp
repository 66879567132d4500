// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/lens/lens_facts.hpp>
#include <xlens/lens/linear_lens.hpp>

#include <filesystem>

#if XLENS_DEFINES(lens)
#include <xlens/core/error.hpp>
#include <xlens/io/torch_file.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>
#endif

namespace xlens {

/// Reads a published Jacobian lens: a file of torch.save with a dict `J` of (D, D) by layer,
/// `n_prompts`, `source_layers` and `d_model`; or the checkpoint of a fit, with `jacobian_sum` and
/// `n_done`, whose quotient is J. J_l is the mean derivative of the final residual, after the last
/// block and before the final norm, with respect to the *output* of block l:
///   logits = U·norm_f(J_l·h_l)
/// and then the model's own scale and cap. Throws xlens::error for a file without these,
/// and for numbers that do not fit them.
XLENS_API void read_jacobian_lens(const std::filesystem::path& path, lens_facts& facts,
                                  linear_lens& lens);

#if XLENS_DEFINES(lens)

namespace detail {

/// A whole number under a key of the file's dict, at least `least`.
inline std::int64_t jacobian_number(const torch_file& file, const char* key, std::int64_t least) {
    const pickle_value* v = file.root().find(key);
    if (v == nullptr || v->is != pickle_value::kind::integer) {
        fail("{}: {}: expected an integer, got {}", file.name(), key,
             v == nullptr ? "nothing" : v->kind_name());
    }
    if (v->integer < least) {
        fail("{}: {}: expected at least {}, got {}", file.name(), key, least, v->integer);
    }
    return v->integer;
}

/// Throws unless `source_layers` names the layers that there are.
inline void check_source_layers(const torch_file& file, const linear_lens& lens) {
    const pickle_value* v = file.root().find("source_layers");
    if (v == nullptr) { return; }
    std::vector<std::int64_t> named;
    for (const pickle_value* l : v->items) {
        named.push_back(l->is == pickle_value::kind::integer ? l->integer : -1);
    }
    std::ranges::sort(named);
    std::vector<std::int64_t> have;
    for (const auto& [layer, t] : lens.layers()) {
        have.push_back(static_cast<std::int64_t>(layer));
    }
    if (v->is != pickle_value::kind::list || named != have) {
        fail("{}: source_layers: expected the layers of J, {}, got {}", file.name(),
             joined(have, ","), joined(named, ","));
    }
}

/// What a checkpoint aims at: a layer, or the last one (None, -1).
inline std::optional<std::size_t> target_layer(const torch_file& file) {
    const pickle_value* v = file.root().find("target_layer");
    if (v == nullptr || v->is == pickle_value::kind::none) { return std::nullopt; }
    const std::int64_t target = jacobian_number(file, "target_layer", -1);
    if (target == -1) { return std::nullopt; }
    return static_cast<std::size_t>(target);
}

}  // namespace detail

XLENS_API void read_jacobian_lens(const std::filesystem::path& path, lens_facts& facts,
                                  linear_lens& lens) {
    const torch_file file(path);
    const pickle_value& root = file.root();
    const bool fitting = root.find("J") == nullptr && root.find("jacobian_sum") != nullptr;
    const char* key = fitting ? "jacobian_sum" : "J";
    const pickle_value* by_layer = root.find(key);
    if (by_layer == nullptr || by_layer->is != pickle_value::kind::dict) {
        fail(
            "{}: expected a Jacobian lens, a dict with J or jacobian_sum; got {} without (a tuned "
            "lens is given as its folder, with config.json)",
            file.name(), root.kind_name());
    }
    if (by_layer->members.empty()) { fail("{}: {}: no layers", file.name(), key); }
    const std::int64_t examples = fitting ? detail::jacobian_number(file, "n_done", 1)
                                          : detail::jacobian_number(file, "n_prompts", 1);
    std::size_t width = 0;
    if (root.find("d_model") != nullptr || !fitting) {
        width = static_cast<std::size_t>(detail::jacobian_number(file, "d_model", 1));
    } else {
        const auto shape = file.shape(*by_layer->members.front().second, key);
        width = shape.empty() ? 0 : shape.front();
    }
    for (const auto& [layer, matrix] : by_layer->members) {
        if (layer->is != pickle_value::kind::integer || layer->integer < 0) {
            fail("{}: {}: expected layers as keys, got {}", file.name(), key, layer->kind_name());
        }
        const auto l = static_cast<std::size_t>(layer->integer);
        const std::string field = std::string(key) + "[" + std::to_string(l) + "]";
        if (lens.has(l)) { fail("{}: {}: is there twice", file.name(), field); }
        const std::vector<float> values =
            file.read(*matrix, std::vector<std::size_t>{width, width}, field);
        translator t{xt::empty<float>({width, width}), xt::empty<float>({std::size_t{0}}),
                     translation::of_raw};
        const auto by = static_cast<float>(fitting ? examples : 1);
        std::ranges::transform(values, t.weights.begin(), [by](float v) { return v / by; });
        lens.set(l, std::move(t));
    }
    detail::check_source_layers(file, lens);
    facts = {"jacobian",
             "jacobian-lens",
             "",
             0,
             width,
             0,
             static_cast<std::size_t>(examples),
             detail::target_layer(file)};
}

#endif

}  // namespace xlens
