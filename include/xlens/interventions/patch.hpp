// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/attention_head.hpp>
#include <xlens/core/compiled.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/core/layer.hpp>
#include <xlens/kernels/finite.hpp>

#include <algorithm>
#include <array>
#include <utility>
#endif

namespace xlens {

/// The sites at which a pass can be patched, in the order in which it comes to them:
///   embedding      the residual that enters layer 0
///   head_outputs   what the heads of a layer took together, one behind the other, for the output
///                  matrix
///   attention_out  what a layer's attention adds to the residual
///   before, after  the residual before and after a layer's FFN update
///   ffn_out        what a layer's FFN adds, the sum of its sub-updates
inline constexpr hook patch_sites = hook::embedding | hook::head_outputs | hook::attention_out |
                                    hook::before | hook::ffn_out | hook::after;

/// "ffn_out": a site by its name.
[[nodiscard]] XLENS_API std::string_view patch_site_name(hook site);
/// The site of that name; nothing where there is none.
[[nodiscard]] XLENS_API std::optional<hook> find_patch_site(std::string_view name);

/// Policy that puts other vectors in the place of a model's own, at sites, layers and positions:
/// with those of another prompt (trace/residual.hpp) it is activation patching (Vig et al. 2020,
/// 2004.12265; Meng et al. 2022, 2202.05262). A grid of such: interventions/patch_grid.hpp.
///
///     patch other;
///     other.at(hook::after, 12, 4, residual(model, corrupted, hook::after, 12, 4));
///     model.forward(state, tokens, other);
class patch {
public:
    static constexpr hook hooks = patch_sites;
    static constexpr bool rowwise = true;

    /// At a position, x (D), of head_outputs (H·d), in the place of what a layer has at a site.
    /// Said twice for one place, the last counts. Throws xlens::error for a hook that is none of
    /// patch_sites, for the embedding of another layer than 0, and for an x that is not finite.
    patch& at(hook where, std::size_t layer, std::size_t position, std::span<const float> x);
    /// At a position, z (d) in the place of what one head has at head_outputs.
    patch& at(attention_head which, std::size_t position, std::span<const float> z);

    /// Throws xlens::error unless a model of this size has the layers, the width and, where it says
    /// its context, the positions. Heads and their size are checked where they are put.
    void check(const model_sizes& model) const;
    /// Throws xlens::error for a place that a text of so many positions does not reach, where the
    /// patch would do nothing.
    void check_positions(std::size_t count) const;

    [[nodiscard]] bool empty() const { return m_places.empty(); }

    void embedding(const site& where, rows<float> x) const { put(hook::embedding, where, x); }
    void head_outputs(const site& where, rows<float> z) const { put(hook::head_outputs, where, z); }
    void attention_out(const site& where, rows<float> x) const {
        put(hook::attention_out, where, x);
    }
    void before(const site& where, rows<float> x) const { put(hook::before, where, x); }
    void ffn_out(const site& where, rows<float> x) const { put(hook::ffn_out, where, x); }
    void after(const site& where, rows<float> x) const { put(hook::after, where, x); }

private:
    struct place {
        hook where = hook::none;
        std::size_t layer = 0;
        std::size_t position = 0;
        std::vector<float> x;
        std::optional<std::size_t> head = {};  ///< x is of this head alone
    };

    void put(hook here, const site& where, rows<float> x) const;
    static void put_head(const place& p, std::span<float> z);
    static void check_finite(std::span<const float> x);

    std::vector<place> m_places;
};

#if XLENS_DEFINES(interventions)

namespace detail {

inline constexpr std::array<std::pair<std::string_view, hook>, 6> patch_site_names{
    {{"embedding", hook::embedding},
     {"head_outputs", hook::head_outputs},
     {"attention_out", hook::attention_out},
     {"before", hook::before},
     {"ffn_out", hook::ffn_out},
     {"after", hook::after}}};

}  // namespace detail

XLENS_API std::string_view patch_site_name(hook site) {
    for (const auto& [name, one] : detail::patch_site_names) {
        if (one == site) { return name; }
    }
    fail(
        "patch: expected one of the sites embedding, head_outputs, attention_out, before, ffn_out "
        "and after");
}

XLENS_API std::optional<hook> find_patch_site(std::string_view name) {
    for (const auto& [one, site] : detail::patch_site_names) {
        if (one == name) { return site; }
    }
    return std::nullopt;
}

XLENS_API patch& patch::at(hook where, std::size_t layer, std::size_t position,
                           std::span<const float> x) {
    (void)patch_site_name(where);
    if (where == hook::embedding && layer != 0) {
        fail("patch: embedding of layer {}, expected layer 0, which it enters", layer);
    }
    check_finite(x);
    m_places.push_back({where, layer, position, {x.begin(), x.end()}});
    return *this;
}

XLENS_API patch& patch::at(attention_head which, std::size_t position, std::span<const float> z) {
    check_finite(z);
    m_places.push_back(
        {hook::head_outputs, which.layer, position, {z.begin(), z.end()}, which.index});
    return *this;
}

XLENS_API void patch::check_finite(std::span<const float> x) {
    if (const std::size_t d = kernels::first_not_finite(x); d < x.size()) {
        fail("patch: number {} of the residual is {}, expected a finite number", d, x[d]);
    }
}

XLENS_API void patch::check(const model_sizes& model) const {
    for (const place& p : m_places) {
        check_layer("patch", p.layer, model.layers);
        if (p.where != hook::head_outputs && p.x.size() != model.width) {
            fail("patch: a residual of {} numbers, the model's width is {}", p.x.size(),
                 model.width);
        }
        if (model.context != 0 && p.position >= model.context) {
            fail("patch: position {}, the model reads positions 0 to {}", p.position,
                 model.context - 1);
        }
    }
}

XLENS_API void patch::check_positions(std::size_t count) const {
    for (const place& p : m_places) {
        if (p.position >= count) {
            fail("patch: position {}, of a text of {} positions", p.position, count);
        }
    }
}

XLENS_API void patch::put(hook here, const site& where, rows<float> x) const {
    for (const place& p : m_places) {
        if (p.where != here || p.layer != where.layer || p.position < where.first_position ||
            p.position - where.first_position >= x.count()) {
            continue;
        }
        const std::span<float> row = x[p.position - where.first_position];
        if (p.head) {
            put_head(p, row);
            continue;
        }
        if (p.x.size() != row.size()) {  // of heads: the others were checked before the pass
            fail("patch: {} numbers of heads, the model's have {}", p.x.size(), row.size());
        }
        std::ranges::copy(p.x, row.begin());
    }
}

XLENS_API void patch::put_head(const place& p, std::span<float> z) {
    const std::size_t size = p.x.size();
    if (size == 0 || z.size() % size != 0) {
        fail("patch: {} numbers of a head, the model's heads have {} in all", size, z.size());
    }
    if (*p.head >= z.size() / size) {
        fail("patch: head {}:{}, the layer has heads 0 to {}", p.layer, *p.head,
             z.size() / size - 1);
    }
    std::ranges::copy(p.x, z.subspan(*p.head * size, size).begin());
}

#endif

}  // namespace xlens
