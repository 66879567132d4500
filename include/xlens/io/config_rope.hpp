// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/io/families.hpp>
#include <xlens/io/hyperparameter_checks.hpp>
#include <xlens/json/field.hpp>
#include <xlens/model/hyperparameters.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// Rotary positions in config.json. transformers 4 keeps θ beside rope_scaling, 5 keeps both in
// rope_parameters, which has one object a kind of layers where these differ.

namespace xlens::detail {

/// 0.1·m·log(factor) + 1: how much longer YaRN makes cosines and sines (2309.00071, eq. 22).
inline double yarn_magnitude(double factor, double m = 1.0) {
    return factor <= 1.0 ? 1.0 : 0.1 * m * std::log(factor) + 1.0;
}

inline std::vector<float> positive_numbers(const json_object& rope, std::string_view key,
                                           std::size_t count) {
    std::vector<float> out;
    for (const json_field& item : rope.at(key).items()) {
        out.push_back(positive(rope, key, item.number()));
    }
    if (out.size() != count) {
        fail("{}: {}: expected {} numbers, got {}", rope.file(), key, count, out.size());
    }
    return out;
}

/// The positions that a model with stretched ones was trained for first. Phi 3 has the key at the
/// top, which goes first; others' top is not read.
inline double original_context(const json_object& top, const json_object& rope, const family& f,
                               const hyperparameters& p) {
    constexpr const char* key = "original_max_position_embeddings";
    if (f.name == "phi3") { return double{positive(top, key, top.number(key, 4096.0))}; }
    return double{positive(rope, key, rope.number(key, static_cast<double>(p.context)))};
}

/// LongRoPE has factors for texts within the original context, and others for longer ones, with
/// which earlier positions would have to be read again: the model reads texts within it.
inline rope_scaling read_longrope(const json_object& top, const json_object& rope, const family& f,
                                  hyperparameters& p) {
    const double original = original_context(top, rope, f, p);
    const double factor = rope.number("factor", static_cast<double>(p.context) / original);
    const double usual =
        factor <= 1.0 ? 1.0 : std::sqrt(1.0 + std::log(factor) / std::log(original));
    const float magnitude =
        positive(rope, "attention_factor", rope.number("attention_factor", usual));
    p.context = std::min(p.context, static_cast<std::size_t>(original));
    return rope_divisors{positive_numbers(rope, "short_factor", p.rotary_size / 2), magnitude};
}

inline rope_scaling read_yarn(const json_object& top, const json_object& rope, const family& f,
                              const hyperparameters& p) {
    const double original = original_context(top, rope, f, p);
    const double factor = rope.number("factor", static_cast<double>(p.context) / original);
    double usual = yarn_magnitude(factor);
    const double m = rope.number("mscale", 0.0);
    const double all = rope.number("mscale_all_dim", 0.0);
    if (m != 0.0 && all != 0.0) { usual = yarn_magnitude(factor, m) / yarn_magnitude(factor, all); }
    const auto number = [&](std::string_view key, double otherwise) {
        return positive(rope, key, rope.number(key, otherwise));
    };
    return rope_yarn{.factor = number("factor", factor),
                     .original_context = static_cast<float>(original),
                     .beta_fast = number("beta_fast", 32.0),
                     .beta_slow = number("beta_slow", 1.0),
                     .magnitude = number("attention_factor", usual),
                     .whole = rope.boolean("truncate", true)};
}

inline rope_scaling read_scaling(const json_object& top, const json_object& rope, const family& f,
                                 hyperparameters& p) {
    const std::string type = rope.string("rope_type", rope.string("type", "default"));
    const auto value = [&](const char* key) { return positive(rope, key, rope.number(key)); };
    if (type == "default") { return {}; }
    if (type == "linear") { return rope_linear{value("factor")}; }
    // Within max_position_embeddings, which is all that is read, dynamic scaling changes nothing.
    if (type == "dynamic") { return {}; }
    if (type == "llama3") {
        return rope_llama3{value("factor"), value("low_freq_factor"), value("high_freq_factor"),
                           static_cast<float>(original_context(top, rope, f, p))};
    }
    if (type == "yarn") { return read_yarn(top, rope, f, p); }
    if (type == "longrope" || type == "su") { return read_longrope(top, rope, f, p); }
    fail("{}: rope_type: expected default, linear, dynamic, llama3, yarn or longrope, got '{}'",
         top.file(), printable(type));
}

/// What may stand beside the kind of a rotation; transformers passes over the rest, and so would
/// numbers meant for other code. Refused, known ones that say nothing apart.
inline constexpr auto rope_keys = std::to_array<std::string_view>(
    {"rope_type", "type", "rope_theta", "partial_rotary_factor", "factor",
     "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow", "mscale",
     "mscale_all_dim", "truncate", "low_freq_factor", "high_freq_factor", "short_factor",
     "long_factor", "finetuned", "mrope_section"});

inline void refuse_rope_keys(const json_object& rope) {
    for (const auto& item : rope.value().object()) {
        if (std::ranges::find(rope_keys, item.first) == rope_keys.end()) {
            fail("{}: unknown key '{}' of a rotation: expected one of {}", rope.place(),
                 printable(item.first), joined(rope_keys, ", "));
        }
    }
}

/// How much of a head turns.
inline double rotary_share(const json_object& top, const json_object& rope, const family& f) {
    constexpr std::string_view key = "partial_rotary_factor";
    const bool neox = f.name == "gpt_neox";
    const double outside = top.number(neox ? "rotary_pct" : key, f.rotary_part);
    const double share = rope.number(key, outside);
    if (f.rotary_part == 0.0) {  // all of it; only a stretched rotation would read the key
        const std::string type = rope.string("rope_type", rope.string("type", "default"));
        if (share != 0.0 && share != 1.0 && type != "default") {
            fail("{}: {}: expected 1 in {}, got {}", top.file(), key, f.name, share);
        }
        return 1.0;
    }
    if (!(share > 0.0) || share > 1.0) {
        fail("{}: rotary_pct: expected above 0 and up to 1, got {}", top.file(), share);
    }
    return share;
}

/// One rotation: θ, how much of a head turns, and the scaling. `rope` may be `top` itself.
inline void read_rotation(const json_object& top, const json_object& rope, const family& f,
                          bool scaled, hyperparameters& p) {
    if (scaled) { refuse_rope_keys(rope); }
    const double base =
        top.number(f.name == "gpt_neox" ? "rotary_emb_base" : "rope_theta", f.theta);
    p.rotary_base = positive(top, "rope_theta", scaled ? rope.number("rope_theta", base) : base);
    p.rotary_size =
        static_cast<std::size_t>(rotary_share(top, rope, f) * static_cast<double>(p.head_size));
    if (scaled) { p.rotary_scaling = read_scaling(top, rope, f, p); }
}

/// Layers with a window have a rotation of their own.
inline void read_rotations_by_window(const json_object& top, const family& f, hyperparameters& p) {
    const bool gemma = f.architecture == "gemma3";
    p.second_base =
        gemma ? positive(top, "rope_local_base_freq", top.number("rope_local_base_freq", 10000.0))
              : static_cast<float>(f.theta);
    if (!top.has("rope_parameters")) {
        const bool scaled = top.has("rope_scaling");
        if (scaled && !top.object("rope_scaling").has("rope_type")) {  // transformers: "default"
            fail("{}: rope_scaling: expected a rope_type, got no such key", top.file());
        }
        return read_rotation(top, scaled ? top.object("rope_scaling") : top, f, scaled, p);
    }
    if (top.has("rope_scaling")) {
        fail("{}: rope_scaling: expected none beside rope_parameters", top.file());
    }
    const json_object all = top.object("rope_parameters");
    for (const auto& item : all.value().object()) {
        if (item.first != "full_attention" && item.first != "sliding_attention") {
            fail("{}: rope_parameters: expected full_attention and sliding_attention, got '{}'",
                 top.file(), printable(item.first));
        }
    }
    const auto read = [&](const char* key, double theta) {
        if (!all.has(key)) {
            p.rotary_base = static_cast<float>(theta);
            p.rotary_scaling = {};
            p.rotary_size = p.head_size;
            return;
        }
        const json_object rope = all.object(key);
        if (!rope.boolean("truncate", true)) {  // transformers looks for it elsewhere
            fail("{}: rope_parameters: {}: truncate: expected true, got false", top.file(), key);
        }
        read_rotation(top, rope, f, true, p);
        p.rotary_base = positive(rope, "rope_theta", rope.number("rope_theta", theta));
    };
    read("sliding_attention", double{p.second_base});
    p.second_base = p.rotary_base;
    p.second_scaling = p.rotary_scaling;
    p.rotary_scaling = {};
    read("full_attention", top.number("rope_theta", f.theta));
}

inline void read_config_rope(const json_object& top, const family& f, hyperparameters& p) {
    p.rotary_style = f.rope;
    if (f.name == "gptj") {  // no key says more
        p.rotary_size = count(top, "rotary_dim", max_width, 64);
        return;
    }
    if (f.layers_rope == rope_rule::by_window) { return read_rotations_by_window(top, f, p); }
    // What transformers 4 wrote goes before what 5 writes, if both are there.
    for (const char* key : {"rope_scaling", "rope_parameters"}) {
        if (top.has(key) && !top.object(key).value().object().empty()) {
            return read_rotation(top, top.object(key), f, true, p);
        }
    }
    if (f.name == "gpt_oss") {  // whose class then stretches them
        fail("{}: rope_parameters: expected a kind of rotation, got none", top.file());
    }
    read_rotation(top, top, f, false, p);
}

}  // namespace xlens::detail
