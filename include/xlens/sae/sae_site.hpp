// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/trace/keep_sites.hpp>

#include <cstddef>
#include <optional>
#include <string_view>

#if XLENS_DEFINES(sae)
#include <array>
#include <utility>
#endif

namespace xlens {

/// What a sparse autoencoder reads and writes of a layer.
enum class sae_site {
    entering,       ///< the residual that enters the layer (hook_resid_pre)
    before,         ///< before the FFN update (hook_resid_mid)
    after,          ///< after it (hook_resid_post)
    attention_out,  ///< what the attention adds (hook_attn_out)
    ffn_out,        ///< what the FFN adds (hook_mlp_out)
};

/// "after".
XLENS_API std::string_view name_of(sae_site site);
/// The site of that name; nothing if there is none.
XLENS_API std::optional<sae_site> find_sae_site(std::string_view name);

/// A site of a layer.
struct sae_place {
    std::size_t layer = 0;
    sae_site site = sae_site::after;
    bool operator==(const sae_place&) const = default;
};

/// Where a pass comes by a place: what enters a layer is what left the one below, or the embedding.
XLENS_API layer_site layer_site_of(const sae_place& place);

/// The place that TransformerLens calls so ("blocks.8.hook_resid_post"); nothing for one that is
/// not a site here.
XLENS_API std::optional<sae_place> place_of_hook(std::string_view name);
/// The place that Gemma Scope 2 calls so, by modules of transformers ("model.layers.8.output").
/// Norms of its names stand behind attention and FFN there, as in Gemma 2 and 3.
XLENS_API std::optional<sae_place> place_of_module(std::string_view name);

#if XLENS_DEFINES(sae)

namespace detail {

using named_site = std::pair<std::string_view, sae_site>;
inline constexpr std::array<named_site, 5> site_names{{{"entering", sae_site::entering},
                                                       {"before", sae_site::before},
                                                       {"after", sae_site::after},
                                                       {"attention_out", sae_site::attention_out},
                                                       {"ffn_out", sae_site::ffn_out}}};

/// "PREFIX.8.SITE".
template <std::size_t N>
std::optional<sae_place> place_in(std::string_view name, std::string_view prefix,
                                  const std::array<named_site, N>& sites) {
    if (!name.starts_with(prefix)) { return std::nullopt; }
    name.remove_prefix(prefix.size());
    std::size_t layer = 0;
    std::size_t digits = 0;
    for (; digits < name.size() && name[digits] >= '0' && name[digits] <= '9'; ++digits) {
        layer = 10 * layer + static_cast<std::size_t>(name[digits] - '0');
    }
    if (digits == 0 || digits > 6 || digits == name.size() || name[digits] != '.') {
        return std::nullopt;
    }
    name.remove_prefix(digits + 1);
    for (const auto& [site_name, site] : sites) {
        if (name == site_name) { return sae_place{layer, site}; }
    }
    return std::nullopt;
}

}  // namespace detail

XLENS_API layer_site layer_site_of(const sae_place& place) {
    switch (place.site) {
        case sae_site::entering:
            return place.layer == 0 ? layer_site{hook::embedding, 0}
                                    : layer_site{hook::after, place.layer - 1};
        case sae_site::before: return {hook::before, place.layer};
        case sae_site::after: return {hook::after, place.layer};
        case sae_site::attention_out: return {hook::attention_out, place.layer};
        case sae_site::ffn_out: return {hook::ffn_out, place.layer};
    }
    return {};
}

XLENS_API std::string_view name_of(sae_site site) {
    for (const auto& [name, one] : detail::site_names) {
        if (one == site) { return name; }
    }
    return "";
}

XLENS_API std::optional<sae_site> find_sae_site(std::string_view name) {
    for (const auto& [one, site] : detail::site_names) {
        if (one == name) { return site; }
    }
    return std::nullopt;
}

XLENS_API std::optional<sae_place> place_of_hook(std::string_view name) {
    static constexpr std::array<detail::named_site, 5> hooks{
        {{"hook_resid_pre", sae_site::entering},
         {"hook_resid_mid", sae_site::before},
         {"hook_resid_post", sae_site::after},
         {"hook_attn_out", sae_site::attention_out},
         {"hook_mlp_out", sae_site::ffn_out}}};
    return detail::place_in(name, "blocks.", hooks);
}

XLENS_API std::optional<sae_place> place_of_module(std::string_view name) {
    static constexpr std::array<detail::named_site, 3> modules{
        {{"output", sae_site::after},
         {"post_attention_layernorm.output", sae_site::attention_out},
         {"post_feedforward_layernorm.output", sae_site::ffn_out}}};
    for (const std::string_view prefix :
         {"model.layers.", "model.language_model.layers.", "language_model.model.layers."}) {
        if (const auto found = detail::place_in(name, prefix, modules)) { return found; }
    }
    return std::nullopt;
}

#endif

}  // namespace xlens
