// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/storage/rows.hpp>

#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/core/error.hpp>
#include <xlens/core/layer.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#endif

namespace xlens {

/// What the shape of a site's rows may depend on.
struct capture_sizes {
    model_sizes model;
    std::size_t longest = 0;    ///< tokens of the longest sequence
    std::size_t heads = 0;      ///< H
    std::size_t kv_heads = 0;   ///< K
    std::size_t head_size = 0;  ///< d
};

/// A place of a pass whose rows can be captured: one row a position.
struct capture_site {
    std::string_view name;
    hook where;      ///< what is handed to this hook is what is captured
    bool per_layer;  ///< a row a position and layer, else a row a position
    /// Shape of a row, whose numbers the hook's row has in this order.
    std::vector<std::size_t> (*shape)(const capture_sizes&);
    std::string_view about;  ///< for --help
};

namespace detail {
inline std::vector<std::size_t> width_shape(const capture_sizes& s) { return {s.model.width}; }
inline std::vector<std::size_t> inner_shape(const capture_sizes& s) {
    return {s.model.inner_width};
}
inline std::vector<std::size_t> word_shape(const capture_sizes& s) { return {s.model.vocabulary}; }
inline std::vector<std::size_t> head_shape(const capture_sizes& s) {
    return {s.heads, s.head_size};
}
inline std::vector<std::size_t> kv_head_shape(const capture_sizes& s) {
    return {s.kv_heads, s.head_size};
}
inline std::vector<std::size_t> pattern_shape(const capture_sizes& s) {
    return {s.heads, s.longest};
}
}  // namespace detail

/// All of them; a new one is an entry here, and a hook where it is none of these:
///   embedding        (D)  what enters layer 0: the token's row, scaled and normed where the model
///                         does so, learned positions added
///   queries       (H, d)  of each head, as they are multiplied: normed and turned; their numbers
///   keys          (K, d)  stand as hooks/policy.hpp says
///   values        (K, d)
///   pattern       (H, S)  the weight that a head gives each position of the sequence, 0 where it
///                         does not look; S is the longest sequence, so that rows are of one size
///   head_outputs  (H, d)  Σ weight·value of each head, before the output projection
///   attention_out    (D)  what the layer's attention adds to the residual, behind its norm and
///                         multiplier where the model has such
///   ffn_out          (D)  what its FFN adds, likewise
///   before, after    (D)  the residual before and after the layer's FFN update
///   pre_activations  (F)  what the activation is applied to; behind a gate the gate's
///   coefficients     (F)  m, of the FFN update Σ_i m_i·v_i
///   final            (D)  what the final norm, which stands before the unembedding, is given: the
///                         last layer's `after`, but for policies that change it
///   logits           (V)  as the model computes them, capped where it does
inline constexpr std::array capture_sites{
    capture_site{"embedding", hook::embedding, false, detail::width_shape, "what enters layer 0"},
    capture_site{"before", hook::before, true, detail::width_shape,
                 "the residual before the FFN update"},
    capture_site{"after", hook::after, true, detail::width_shape, "the residual after it"},
    capture_site{"final", hook::read_out, false, detail::width_shape, "what the final norm reads"},
    capture_site{"attention_out", hook::attention_out, true, detail::width_shape,
                 "what attention adds"},
    capture_site{"ffn_out", hook::ffn_out, true, detail::width_shape, "what the FFN adds"},
    capture_site{"queries", hook::queries, true, detail::head_shape, "of each head, turned"},
    capture_site{"keys", hook::keys, true, detail::kv_head_shape, "of each key-value head, turned"},
    capture_site{"values", hook::values, true, detail::kv_head_shape, "of each key-value head"},
    capture_site{"pattern", hook::pattern, true, detail::pattern_shape,
                 "a head's weight of each position"},
    capture_site{"head_outputs", hook::head_outputs, true, detail::head_shape,
                 "of each head, before the output projection"},
    capture_site{"pre_activations", hook::pre_activations, true, detail::inner_shape,
                 "before the activation"},
    capture_site{"coefficients", hook::coefficients, true, detail::inner_shape,
                 "m, of the sub-updates"},
    capture_site{"logits", hook::logits, false, detail::word_shape, "of the next token"},
};

/// One captured array: the rows of a site, in one layer where it is of layers, or what is computed
/// of each, such as the features of an autoencoder (sae/feature_array.hpp).
struct captured_array {
    const capture_site* site = nullptr;
    std::size_t layer = 0;
    std::string name;                ///< "after.12", "final"
    std::vector<std::size_t> shape;  ///< of a row
    std::size_t columns = 0;         ///< numbers of a row
    /// From rows (N, D) of the site to rows (N, columns), each by itself; none: they are the same.
    std::function<void(rows<const float>, rows<float>)> compute = {};
    /// A JSON object that tells what computes apart, for the manifest; or nothing.
    std::string computed_by = {};
};

/// The site of that name; null where there is none.
XLENS_API const capture_site* find_capture_site(std::string_view name);
/// The site at a hook; null where there is none.
XLENS_API const capture_site* find_capture_site(hook at);

/// The arrays of some sites, in the order of the table, some layers (none named: all) in order.
/// Throws xlens::error for a site that is none, and a layer that is not there.
XLENS_API std::vector<captured_array> captured_arrays(std::span<const std::string> sites,
                                                      std::span<const std::size_t> layers,
                                                      const capture_sizes& sizes);

#if XLENS_DEFINES(trace)

namespace detail {

template <class Value>
const capture_site* site_with(const Value& value, Value capture_site::*member) {
    const auto found = std::ranges::find(capture_sites, value, member);
    return found == std::ranges::end(capture_sites) ? nullptr : &*found;
}

inline void check_sites(std::span<const std::string> sites) {
    for (const std::string& name : sites) {
        if (find_capture_site(name) == nullptr) {
            std::vector<std::string_view> names;
            for (const capture_site& s : capture_sites) { names.push_back(s.name); }
            fail("sites: expected some of {}, got '{}'", joined(names, ", "), printable(name));
        }
    }
}

}  // namespace detail

XLENS_API const capture_site* find_capture_site(std::string_view name) {
    return detail::site_with(name, &capture_site::name);
}

XLENS_API const capture_site* find_capture_site(hook at) {
    return detail::site_with(at, &capture_site::where);
}

XLENS_API std::vector<captured_array> captured_arrays(std::span<const std::string> sites,
                                                      std::span<const std::size_t> layers,
                                                      const capture_sizes& sizes) {
    detail::check_sites(sites);
    for (const std::size_t l : layers) { check_layer("layers", l, sizes.model.layers); }
    std::vector<captured_array> out;
    for (const capture_site& site : capture_sites) {
        if (std::ranges::find(sites, site.name) == sites.end()) { continue; }
        for (std::size_t l = 0; l < (site.per_layer ? sizes.model.layers : 1); ++l) {
            const bool left_out =
                site.per_layer && !layers.empty() && std::ranges::find(layers, l) == layers.end();
            if (left_out) { continue; }
            captured_array array{
                &site, l,
                site.per_layer ? fmt::format("{}.{}", site.name, l) : std::string(site.name),
                site.shape(sizes)};
            array.columns = std::accumulate(array.shape.begin(), array.shape.end(), std::size_t{1},
                                            std::multiplies<>());
            out.push_back(std::move(array));
        }
    }
    return out;
}

#endif

}  // namespace xlens
