// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <utility>
#include <vector>

#if XLENS_DEFINES(trace)
#include <xlens/core/error.hpp>
#include <xlens/core/layer.hpp>
#endif

namespace xlens {

/// A site of a layer; `embedding` is one of layer 0.
struct layer_site {
    hook site = hook::after;
    std::size_t layer = 0;
    bool operator==(const layer_site&) const = default;
};

/// Policy that keeps what the last pass had at some sites: of each of them (T, D), of head_outputs
/// (T, H·d), for the T positions of the pass. It edits nothing. Memory O(sites·T·D).
class keep_sites {
public:
    static constexpr hook hooks = hook::embedding | hook::head_outputs | hook::attention_out |
                                  hook::before | hook::ffn_out | hook::after;

    /// Throws xlens::error for a site that is none of these hooks.
    explicit keep_sites(std::vector<layer_site> places);

    /// What it had at places[i]; nothing before a pass, and where it left before that place.
    [[nodiscard]] rows<const float> kept(std::size_t i) const { return m_kept[i]; }
    /// Throws xlens::error for a layer that the model does not have.
    void check(const model_sizes& model) const;

    void embedding(const site& where, rows<float> x) {
        for (auto& kept : m_kept) { kept.resize({std::size_t{0}, std::size_t{0}}); }
        keep(hook::embedding, where, x);
    }
    void head_outputs(const site& where, rows<float> z) { keep(hook::head_outputs, where, z); }
    void attention_out(const site& where, rows<float> x) { keep(hook::attention_out, where, x); }
    void before(const site& where, rows<float> x) { keep(hook::before, where, x); }
    void ffn_out(const site& where, rows<float> x) { keep(hook::ffn_out, where, x); }
    void after(const site& where, rows<float> x) { keep(hook::after, where, x); }

private:
    void keep(hook here, const site& where, rows<float> x);

    std::vector<layer_site> m_places;
    std::vector<xt::xtensor<float, 2>> m_kept;
};

#if XLENS_DEFINES(trace)

XLENS_API keep_sites::keep_sites(std::vector<layer_site> places)
    : m_places(std::move(places)),
      m_kept(m_places.size(), xt::empty<float>({std::size_t{0}, std::size_t{0}})) {
    for (const layer_site& p : m_places) {
        if (p.site == hook::none || !contains(hooks, p.site)) {
            fail(
                "keep: expected a site of (T, D) or (T, H·d): embedding, head_outputs, "
                "attention_out, before, ffn_out, after");
        }
    }
}

XLENS_API void keep_sites::check(const model_sizes& model) const {
    for (const layer_site& p : m_places) { check_layer("keep", p.layer, model.layers); }
}

XLENS_API void keep_sites::keep(hook here, const site& where, rows<float> x) {
    for (std::size_t i = 0; i < m_places.size(); ++i) {
        if (m_places[i] == layer_site{here, where.layer}) { m_kept[i] = x.tensor(); }
    }
}

#endif

}  // namespace xlens
