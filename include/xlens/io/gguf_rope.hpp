// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/io/families.hpp>
#include <xlens/io/gguf.hpp>
#include <xlens/io/hyperparameter_checks.hpp>
#include <xlens/model/hyperparameters.hpp>
#include <xlens/storage/formats.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

// Rotary positions of a GGUF file, as llama.cpp's loader reads them.

namespace xlens::detail {

/// Divisors of short texts; longer ones would have others (see read_longrope).
inline rope_scaling read_gguf_longrope(const gguf_file& file, const std::string& prefix,
                                       float magnitude, hyperparameters& p) {
    constexpr const char* name = "rope_factors_short.weight";
    const stored_tensor* factors = file.find(name);
    if (factors == nullptr || factors->shape != std::vector{p.rotary_size / 2}) {
        fail("{}: {}: expected {} factors", file.name(), name, p.rotary_size / 2);
    }
    rope_divisors out{std::vector<float>(p.rotary_size / 2), magnitude};
    row_format_of(factors->format).decode(factors->data, out.values);
    const std::string original = prefix + "rope.scaling.original_context_length";
    p.context = std::min(p.context, count(file, original, max_context, p.context));
    return out;
}

inline rope_scaling read_gguf_scaling(const gguf_file& file, const std::string& prefix,
                                      const family& f, hyperparameters& p) {
    const auto number = [&](const std::string& key, double otherwise) {
        return positive(file, prefix + key, file.number(prefix + key, otherwise));
    };
    const bool newer = file.has(prefix + "rope.scaling.factor");
    const std::string key = newer ? "rope.scaling.factor" : "rope.scale_linear";
    const double given = file.number(prefix + key, 0.0);
    const double factor = given == 0.0 ? 1.0 : double{positive(file, prefix + key, given)};
    // llama.cpp's default is linear, and files of LongRoPE may say nothing.
    const bool longrope = file.find("rope_factors_short.weight") != nullptr;
    const std::string type =
        longrope ? "longrope" : file.string(prefix + "rope.scaling.type", "linear");
    const float attention = number("rope.scaling.attn_factor", 1.0);
    if (type == "longrope") { return read_gguf_longrope(file, prefix, attention, p); }
    if (type == "none" || type == "linear") {
        if (attention != 1.0F) {
            fail("{}: {}rope.scaling.attn_factor: expected 1 with scaling {}, got {}", file.name(),
                 prefix, type, attention);
        }
        if (type == "none" || factor == 1.0) { return {}; }
        return rope_linear{static_cast<float>(factor)};
    }
    if (type == "yarn") {
        const double longer = factor <= 1.0 ? 1.0 : 0.1 * std::log(factor) + 1.0;
        return rope_yarn{.factor = static_cast<float>(factor),
                         .original_context = number("rope.scaling.original_context_length",
                                                    static_cast<double>(p.context)),
                         .beta_fast = number("rope.scaling.yarn_beta_fast", 32.0),
                         .beta_slow = number("rope.scaling.yarn_beta_slow", 1.0),
                         .magnitude = static_cast<float>(longer) * attention,
                         // No key says it; llama.cpp's ramp begins and ends at whole dimensions.
                         .whole = f.name != "gpt_oss"};
    }
    fail("{}: {}rope.scaling.type: expected none, linear, yarn or longrope, got '{}'", file.name(),
         prefix, printable(type));
}

inline void read_gguf_rope(const gguf_file& file, const std::string& prefix, const family& f,
                           hyperparameters& p) {
    p.rotary_size = count(file, prefix + "rope.dimension_count", max_width, p.head_size);
    p.rotary_base = positive(file, "rope.freq_base", file.number(prefix + "rope.freq_base", 10000));
    // Converters permute the query and key rows of some so that neighbours turn together.
    p.rotary_style = f.gguf_rope;
    p.rotary_scaling = read_gguf_scaling(file, prefix, f, p);
    const bool apart = std::ranges::any_of(
        p.per_layer, [](const layer_settings& l) { return l.rope == layer_rope::second; });
    if (apart) {  // what layers with a window turn by is never stretched
        const std::string key = prefix + "rope.freq_base_swa";
        const double usual = f.name == "gemma3_text" ? 10000.0 : double{p.rotary_base};
        p.second_base = positive(file, key, file.number(key, usual));
    }
    if (f.name == "granite" && !file.boolean(prefix + "rope.scaling.finetuned", true)) {
        for (layer_settings& l : p.per_layer) { l.rope = layer_rope::none; }
    }
}

}  // namespace xlens::detail
