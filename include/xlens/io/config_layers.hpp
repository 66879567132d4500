// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/io/families.hpp>
#include <xlens/io/hyperparameter_checks.hpp>
#include <xlens/json/field.hpp>
#include <xlens/model/hyperparameters.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

// Which layers of a Hugging Face model have a window, and which rotation each has.

namespace xlens::detail {

/// The settings of all layers where only windows differ: those for which `windowed` holds.
template <class Windowed>
void set_windows(std::size_t window, hyperparameters& p, Windowed windowed) {
    p.per_layer.assign(p.layers, {});
    for (std::size_t l = 0; l < p.layers; ++l) {
        if (window != 0 && windowed(l)) { p.per_layer[l].window = window; }
    }
}

/// layer_types, one name a layer, as "does it have a window"; nothing where the file has no list.
inline std::optional<std::vector<bool>> listed_windows(const json_object& config,
                                                       std::size_t layers) {
    const auto list = config.find("layer_types");
    if (!list) { return std::nullopt; }
    std::vector<bool> out;
    for (const json_field& item : list->items()) {
        const std::string kind = item.string();
        if (kind != "full_attention" && kind != "sliding_attention") {
            fail("{}: layer_types: expected full_attention or sliding_attention, got '{}'",
                 config.file(), printable(kind));
        }
        out.push_back(kind == "sliding_attention");
    }
    if (out.size() != layers) {
        fail("{}: layer_types: expected {} layers, got {}", config.file(), layers, out.size());
    }
    return out;
}

/// GPT-Neo's attention_types, [[["global", "local"], 12]], as "does it have a window"; before them
/// go attention_layers, the same written out.
inline std::vector<bool> attention_types(const json_object& config, std::size_t layers) {
    std::vector<bool> out;
    const auto add = [&](const std::vector<json_field>& kinds) {
        for (const json_field& item : kinds) {
            const std::string kind = item.string();
            item.expect(kind == "global" || kind == "local", "global or local");
            out.push_back(kind == "local");
        }
    };
    if (const auto layers_of = config.find("attention_layers")) {
        add(layers_of->items());
    } else {
        for (const json_field& run : config.at("attention_types").items()) {
            const std::vector<json_field> parts = run.items();
            if (parts.size() != 2) { run.expect(false, "a list of kinds and a number"); }
            for (std::int32_t left = parts[1].id(); left > 0 && out.size() <= layers; --left) {
                add(parts[0].items());
            }
        }
    }
    if (out.size() != layers) {
        fail("{}: attention_types: expected {} layers, got {}", config.file(), layers, out.size());
    }
    return out;
}

/// Layers that do not turn: no_rope_layers, a list of 0 and 1, or every n-th.
inline void read_no_rope_layers(const json_object& config, hyperparameters& p) {
    std::vector<std::uint64_t> turns;
    if (config.has("no_rope_layers")) {
        turns = config.unsigned_integers("no_rope_layers");
    } else {
        const std::size_t step = count(config, "no_rope_layer_interval", max_layers, 4);
        for (std::size_t l = 0; l < p.layers; ++l) { turns.push_back((l + 1) % step != 0 ? 1 : 0); }
    }
    if (turns.size() != p.layers) {
        fail("{}: no_rope_layers: expected {} layers, got {}", config.file(), p.layers,
             turns.size());
    }
    for (std::size_t l = 0; l < p.layers; ++l) {
        if (turns[l] == 0) { p.per_layer[l].rope = layer_rope::none; }
    }
}

inline void read_config_windows(const json_object& config, const family& f, hyperparameters& p) {
    const auto window = [&](const char* key) {
        const bool said = config.value().find(key) != nullptr;
        return config.has(key) ? count(config, key, max_context) : said ? 0 : f.window_size;
    };
    const bool may_be_listed =
        f.window == window_rule::pattern || f.window == window_rule::optional;
    const auto listed = may_be_listed ? listed_windows(config, p.layers) : std::nullopt;
    const auto listed_or = [&](auto otherwise) {
        set_windows(window("sliding_window"), p,
                    [&](std::size_t l) { return listed ? bool{(*listed)[l]} : otherwise(l); });
    };
    switch (f.window) {
        case window_rule::never: return set_windows(0, p, [](std::size_t) { return false; });
        case window_rule::all:
            return set_windows(window("sliding_window"), p, [](std::size_t) { return true; });
        case window_rule::pattern: {
            const std::size_t period =
                count(config, "sliding_window_pattern", max_layers, f.window_period);
            return listed_or([&](std::size_t l) { return (l + 1) % period != 0; });
        }
        case window_rule::optional: {
            if (!config.boolean("use_sliding_window", false)) {
                return set_windows(0, p, [](std::size_t) { return false; });
            }
            if (f.layers_rope == rope_rule::no_rope_layers) {
                const std::vector<layer_settings> turns = p.per_layer;  // before windows are set
                return listed_or([&](std::size_t l) { return turns[l].rope == layer_rope::none; });
            }
            if (f.name == "qwen3_moe") {  // whatever the other lists say
                return set_windows(window("sliding_window"), p, [](std::size_t) { return true; });
            }
            const std::uint64_t first = config.unsigned_integer("max_window_layers", 28);
            return listed_or([&](std::size_t l) { return l >= first; });
        }
        case window_rule::listed: {
            const std::vector<bool> local = attention_types(config, p.layers);
            return set_windows(count(config, "window_size", max_context, 256), p,
                               [&](std::size_t l) { return bool{local[l]}; });
        }
    }
}

inline void read_config_layers(const json_object& config, const family& f, hyperparameters& p) {
    p.per_layer.assign(p.layers, {});
    if (f.layers_rope == rope_rule::no_rope_layers) {
        read_no_rope_layers(config, p);
        const std::vector<layer_settings> turns = p.per_layer;
        read_config_windows(config, f, p);
        for (std::size_t l = 0; l < p.layers; ++l) { p.per_layer[l].rope = turns[l].rope; }
        return;
    }
    read_config_windows(config, f, p);
    for (layer_settings& layer : p.per_layer) {
        if (f.layers_rope == rope_rule::by_window && layer.window != 0) {
            layer.rope = layer_rope::second;
        }
        if (f.layers_rope == rope_rule::windowed && layer.window == 0) {
            layer.rope = layer_rope::none;
        }
    }
}

}  // namespace xlens::detail
