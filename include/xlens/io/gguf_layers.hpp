// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/io/families.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/io/hyperparameter_checks.hpp>
#include <xlens/model/hyperparameters.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What a GGUF file says of its layers: windows, rotations, counts that may be lists.

namespace xlens::detail {

/// A count that is one number, or a list with one a layer; all layers must have the same.
/// `otherwise`: what a missing key means; 0: it must be there.
inline std::size_t count_of_layers(const gguf_file& file, const std::string& key,
                                   std::size_t layers, std::size_t otherwise) {
    if (!file.is_array(key)) {
        return otherwise == 0 ? count(file, key, max_width)
                              : count(file, key, max_width, otherwise);
    }
    const std::vector<std::int64_t> all = file.integers(key);
    if (all.size() < layers) {
        fail("{}: {}: expected {} numbers, got {}", file.name(), key, layers, all.size());
    }
    for (std::size_t l = 0; l < layers; ++l) {
        if (all[l] != all[0]) {
            fail("{}: {}: layers of different sizes, which xlens does not compute: {} and {}",
                 file.name(), key, all[0], all[l]);
        }
    }
    return count_in(file, key, all[0] < 0 ? 0 : static_cast<std::uint64_t>(all[0]), max_width);
}

/// Which layers have a window: a list of truth values, or all but every n-th.
inline std::vector<bool> gguf_windows(const gguf_file& file, const std::string& prefix,
                                      const family& f, std::size_t layers) {
    const std::string key = prefix + "attention.sliding_window_pattern";
    std::vector<bool> out;
    if (file.is_array(key)) {
        out = file.booleans(key);
        if (out.size() < layers) {
            fail("{}: {}: expected {} layers, got {}", file.name(), key, layers, out.size());
        }
        out.resize(layers);
        return out;
    }
    const std::size_t period =
        f.window_period == 0 ? 0 : count(file, key, max_layers, f.window_period);
    for (std::size_t l = 0; l < layers; ++l) {
        out.push_back(period == 0 || (l + 1) % period != 0);
    }
    return out;
}

inline void read_gguf_layers(const gguf_file& file, const std::string& prefix, const family& f,
                             hyperparameters& p) {
    p.per_layer.assign(p.layers, {});
    const std::string key = prefix + "attention.sliding_window";
    // OLMo 3's files are OLMo 2's with a window.
    const bool may_have =
        f.window == window_rule::all || f.window == window_rule::pattern || f.name == "olmo2";
    const std::size_t otherwise = f.name == "gemma2" ? 4096 : 0;
    std::uint64_t window = may_have ? file.unsigned_integer(key, otherwise) : 0;
    if (window != 0) { window = count_in(file, key, window, max_context); }
    const bool olmo3 = f.name == "olmo2" && window != 0;
    const family& like = olmo3 ? *find_family("olmo3") : f;
    const std::vector<bool> windowed = gguf_windows(file, prefix, like, p.layers);
    for (std::size_t l = 0; l < p.layers; ++l) {
        layer_settings& to = p.per_layer[l];
        if (window != 0 && windowed[l]) { to.window = static_cast<std::size_t>(window); }
        if (like.layers_rope == rope_rule::by_window && to.window != 0) {
            to.rope = layer_rope::second;
        }
        if (like.layers_rope == rope_rule::windowed && to.window == 0) {
            to.rope = layer_rope::none;
        }
        if (like.layers_rope == rope_rule::no_rope_layers && (l + 1) % 4 == 0) {
            to.rope = layer_rope::none;
        }
    }
}

}  // namespace xlens::detail
