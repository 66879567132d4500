// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/io/families.hpp>
#include <xlens/io/hyperparameter_checks.hpp>
#include <xlens/json/field.hpp>
#include <xlens/model/hyperparameters.hpp>

#include <algorithm>
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

/// The positions that a model with stretched ones was trained for first.
inline double original_context(const json_object& top, const json_object& rope,
                               const hyperparameters& p) {
    constexpr const char* key = "original_max_position_embeddings";
    const double given = rope.number(key, static_cast<double>(p.context));
    return double{positive(top, key, top.number(key, given))};
}

/// LongRoPE has factors for texts within the original context, and others for longer ones, with
/// which earlier positions would have to be read again: the model reads texts within it.
inline rope_scaling read_longrope(const json_object& top, const json_object& rope,
                                  hyperparameters& p) {
    const double original = original_context(top, rope, p);
    const double factor = top.has("original_max_position_embeddings") || !rope.has("factor")
                              ? static_cast<double>(p.context) / original
                              : rope.number("factor");
    const double usual =
        factor <= 1.0 ? 1.0 : std::sqrt(1.0 + std::log(factor) / std::log(original));
    const float magnitude =
        positive(rope, "attention_factor", rope.number("attention_factor", usual));
    p.context = std::min(p.context, static_cast<std::size_t>(original));
    return rope_divisors{positive_numbers(rope, "short_factor", p.rotary_size / 2), magnitude};
}

inline rope_scaling read_yarn(const json_object& top, const json_object& rope,
                              const hyperparameters& p) {
    const double original = original_context(top, rope, p);
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

inline rope_scaling read_scaling(const json_object& top, const json_object& rope,
                                 hyperparameters& p) {
    const std::string type = rope.string("rope_type", rope.string("type", "default"));
    const auto value = [&](const char* key) { return positive(rope, key, rope.number(key)); };
    if (type == "default") { return {}; }
    if (type == "linear") { return rope_linear{value("factor")}; }
    // Within max_position_embeddings, which is all that is read, dynamic scaling changes nothing.
    if (type == "dynamic") { return {}; }
    if (type == "llama3") {
        return rope_llama3{value("factor"), value("low_freq_factor"), value("high_freq_factor"),
                           static_cast<float>(original_context(top, rope, p))};
    }
    if (type == "yarn") { return read_yarn(top, rope, p); }
    if (type == "longrope" || type == "su") { return read_longrope(top, rope, p); }
    fail("{}: rope_type: expected default, linear, dynamic, llama3, yarn or longrope, got '{}'",
         top.file(), printable(type));
}

/// One rotation: θ, how much of a head turns, and the scaling. `rope` may be `top` itself.
inline void read_rotation(const json_object& top, const json_object& rope, const family& f,
                          bool scaled, hyperparameters& p) {
    const double base = top.number("rope_theta", top.number("rotary_emb_base", 10000.0));
    p.rotary_base = positive(top, "rope_theta", rope.number("rope_theta", base));
    const double part =
        top.number("partial_rotary_factor", top.number("rotary_pct", f.rotary_part));
    const double share = rope.number("partial_rotary_factor", part);
    if (!(share > 0.0) || share > 1.0) {
        fail("{}: rotary_pct: expected above 0 and up to 1, got {}", top.file(), share);
    }
    p.rotary_size = static_cast<std::size_t>(share * static_cast<double>(p.head_size));
    if (f.name == "gptj") { p.rotary_size = count(top, "rotary_dim", max_width, 64); }
    if (scaled) { p.rotary_scaling = read_scaling(top, rope, p); }
}

inline void read_config_rope(const json_object& top, const family& f, hyperparameters& p) {
    p.rotary_style = f.rope;
    const bool together = top.has("rope_parameters");
    if (f.layers_rope != rope_rule::by_window) {
        const json_object rope = together                  ? top.object("rope_parameters")
                                 : top.has("rope_scaling") ? top.object("rope_scaling")
                                                           : top;
        return read_rotation(top, rope, f, together || top.has("rope_scaling"), p);
    }
    // Layers with a window have a rotation of their own, which nothing stretches.
    const bool apart = together && top.object("rope_parameters").has("full_attention");
    const bool gemma = f.architecture == "gemma3";
    if (apart) {
        const json_object all = top.object("rope_parameters");
        if (all.has("sliding_attention")) {
            read_rotation(top, all.object("sliding_attention"), f, true, p);
            p.second_base = p.rotary_base;
            p.second_scaling = p.rotary_scaling;
            p.rotary_scaling = {};
        }
        read_rotation(top, all.object("full_attention"), f, true, p);
    } else {
        const bool scaled = together || top.has("rope_scaling");
        const json_object rope = together                  ? top.object("rope_parameters")
                                 : top.has("rope_scaling") ? top.object("rope_scaling")
                                                           : top;
        read_rotation(top, rope, f, scaled, p);
        if (gemma && !top.has("rope_theta") && !rope.has("rope_theta")) {
            p.rotary_base = 1'000'000.0F;
        }
    }
    if (p.second_base == 0.0F) {
        const double usual = gemma ? 10000.0 : double{p.rotary_base};
        p.second_base =
            positive(top, "rope_local_base_freq", top.number("rope_local_base_freq", usual));
    }
}

}  // namespace xlens::detail
