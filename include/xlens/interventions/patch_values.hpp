// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/hooks/dynamic.hpp>
#include <xlens/interventions/patch.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/trace/keep_sites.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(interventions)
#include <xlens/core/error.hpp>
#include <xlens/core/layer.hpp>
#include <xlens/model/each_pass.hpp>
#include <xlens/model/state.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#endif

// What a patch puts in the place of a prompt's own vectors: those of another prompt, zeros, or the
// mean over a text.

namespace xlens {

/// Vectors for sites of a model and positions of a prompt.
struct patch_values {
    std::vector<layer_site> places;
    std::vector<xt::xtensor<float, 2>> rows_of;  ///< of each place: (R, D), of heads (R, H·d)
    /// Of each position of the prompt: which row goes there; nothing where none does.
    std::vector<std::optional<std::size_t>> row_at;
    /// (V): the last logits of the prompt that they are from; empty where they are from none.
    std::vector<float> logits;

    /// The vector, (D) or (H·d), of a place at a position that has one.
    [[nodiscard]] std::span<const float> at(std::size_t place, std::size_t position) const {
        return rows<const float>(rows_of[place])[*row_at[position]];
    }
    /// The positions that have vectors.
    [[nodiscard]] std::vector<std::size_t> positions() const;
    /// Appends them, at all places, to a patch. Throws xlens::error for a position that has none.
    void put(patch& to, std::span<const std::size_t> positions) const;
};

/// How the positions of two prompts of different lengths are matched: counted from their first
/// tokens or from their last.
enum class patch_align { start, end };

/// The sites of some layers, site by site; the embedding once, whatever the layers. No layers: all
/// of the model's. Throws xlens::error for what is no site, a layer that there is not, and for
/// something said twice.
[[nodiscard]] XLENS_API std::vector<layer_site> patch_places(std::span<const hook> sites,
                                                             std::span<const std::size_t> layers,
                                                             std::size_t model_layers);

namespace detail {
XLENS_API patch_values source_values_with(const transformer<>& model,
                                          std::vector<layer_site> places,
                                          std::span<const token_id> source, std::size_t length,
                                          std::optional<patch_align> align,
                                          dynamic_policies& edits);
}  // namespace detail

/// What another prompt has at these places, for the positions of a prompt of `length` tokens. One
/// pass over the source, with these edits. Throws xlens::error where the lengths differ and `align`
/// does not say how their positions are matched.
template <class... P>
[[nodiscard]] patch_values source_values(const transformer<>& model, std::vector<layer_site> places,
                                         std::span<const token_id> source, std::size_t length,
                                         std::optional<patch_align> align = {}, P&... edits) {
    dynamic_policies pack = dynamic_policies::of(edits...);
    return detail::source_values_with(model, std::move(places), source, length, align, pack);
}

/// Zeros: the site taken out of the model (zero ablation).
[[nodiscard]] XLENS_API patch_values zero_values(const transformer<>& model,
                                                 std::vector<layer_site> places,
                                                 std::size_t length);

/// How a text is read for its means.
struct mean_options {
    std::size_t window = 256;           ///< tokens that are read together
    std::vector<token_id> prefix = {};  ///< what every window begins with (model::prefix)
    progress_function progress = {};    ///< counts tokens that were read
};

namespace detail {
XLENS_API patch_values mean_values_with(const transformer<>& model, std::vector<layer_site> places,
                                        std::span<const token_id> text, std::size_t length,
                                        const mean_options& options, dynamic_policies& edits);
}  // namespace detail

/// The mean over a text, one vector a place, the same at every position (mean ablation). The first
/// position of each window is left out, whose residual is like no other's (an attention sink), and
/// the prefix. Sums are taken in double, in the order of the text; edits run in its passes. Throws
/// xlens::error for a text that leaves nothing, and for windows that do not fit.
template <class... P>
[[nodiscard]] patch_values mean_values(const transformer<>& model, std::vector<layer_site> places,
                                       std::span<const token_id> text, std::size_t length,
                                       const mean_options& options, P&... edits) {
    dynamic_policies pack = dynamic_policies::of(edits...);
    return detail::mean_values_with(model, std::move(places), text, length, options, pack);
}

#if XLENS_DEFINES(interventions)

namespace detail {

/// Numbers of a row of a site: D, of head_outputs H·d.
inline std::size_t patch_width(const transformer<>& model, hook site) {
    const auto& c = model.config;
    return site == hook::head_outputs ? c.heads * c.head_size : c.width;
}

}  // namespace detail

XLENS_API std::vector<std::size_t> patch_values::positions() const {
    std::vector<std::size_t> out;
    for (std::size_t p = 0; p < row_at.size(); ++p) {
        if (row_at[p]) { out.push_back(p); }
    }
    return out;
}

XLENS_API void patch_values::put(patch& to, std::span<const std::size_t> positions) const {
    for (const std::size_t p : positions) {
        if (p >= row_at.size() || !row_at[p]) {
            fail("patch: position {} has nothing to be patched with", p);
        }
        for (std::size_t i = 0; i < places.size(); ++i) {
            to.at(places[i].site, places[i].layer, p, at(i, p));
        }
    }
}

XLENS_API std::vector<layer_site> patch_places(std::span<const hook> sites,
                                               std::span<const std::size_t> layers,
                                               std::size_t model_layers) {
    std::vector<layer_site> out;
    const auto add = [&](layer_site place) {
        const std::string_view name = patch_site_name(place.site);
        check_layer("patch", place.layer, model_layers);
        if (std::ranges::find(out, place) != out.end()) {
            fail("patch: {} of layer {} is given twice", name, place.layer);
        }
        out.push_back(place);
    };
    for (const hook site : sites) {
        if (site == hook::embedding) {
            add({site, 0});
            continue;
        }
        const std::size_t count = layers.empty() ? model_layers : layers.size();
        for (std::size_t i = 0; i < count; ++i) { add({site, layers.empty() ? i : layers[i]}); }
    }
    if (out.empty()) { fail("patch: expected at least 1 site, got 0"); }
    return out;
}

XLENS_API patch_values zero_values(const transformer<>& model, std::vector<layer_site> places,
                                   std::size_t length) {
    patch_values out{std::move(places), {}, {}, {}};
    for (const layer_site& place : out.places) {
        out.rows_of.emplace_back(
            xt::zeros<float>({std::size_t{1}, detail::patch_width(model, place.site)}));
    }
    out.row_at.assign(length, std::size_t{0});
    return out;
}

namespace detail {

XLENS_API patch_values source_values_with(const transformer<>& model,
                                          std::vector<layer_site> places,
                                          std::span<const token_id> source, std::size_t length,
                                          std::optional<patch_align> align,
                                          dynamic_policies& edits) {
    if (source.size() != length && !align) {
        fail(
            "patch: a source of {} tokens, the prompt has {}; say how they are aligned, by start "
            "or by end",
            source.size(), length);
    }
    patch_values out{std::move(places), {}, {}, {}};
    keep_sites keep(out.places);
    sequence_state state = model.start();
    model.forward(state, source, edits, keep);
    for (std::size_t i = 0; i < out.places.size(); ++i) {
        out.rows_of.emplace_back(keep.kept(i).tensor());
    }
    out.logits.assign(state.logits.begin(), state.logits.end());
    const bool from_end = align == patch_align::end;
    for (std::size_t p = 0; p < length; ++p) {
        // Position p of the prompt is p + source.size() - length of the source, by their ends.
        const std::size_t shifted = p + source.size();
        std::optional<std::size_t> row;
        if (!from_end && p < source.size()) { row = p; }
        if (from_end && shifted >= length) { row = shifted - length; }
        out.row_at.push_back(row);
    }
    return out;
}

XLENS_API patch_values mean_values_with(const transformer<>& model, std::vector<layer_site> places,
                                        std::span<const token_id> text, std::size_t length,
                                        const mean_options& options, dynamic_policies& edits) {
    constexpr std::size_t chunk = 64;
    const std::size_t begin = std::max<std::size_t>(1, options.prefix.size());
    if (options.window > model.config.context) {
        fail("window: expected at most {}, the model's context, got {}", model.config.context,
             options.window);
    }
    patch_values out = zero_values(model, std::move(places), length);
    std::vector<std::vector<double>> sums;
    for (const layer_site& place : out.places) {
        sums.emplace_back(patch_width(model, place.site), 0.0);
    }
    std::size_t count = 0;
    keep_sites keep(out.places);
    const std::vector<token_id> all = with_prefixes(text, options.window, options.prefix);
    each_window(
        model, all, options.window, chunk,
        [&](sequence_state& state, const text_pass& pass) {
            model.forward(state, pass.tokens, edits, keep);
            const std::size_t skip =
                std::min(pass.tokens.size(), begin - std::min(begin, pass.position));
            for (std::size_t i = 0; i < sums.size(); ++i) {
                for (std::size_t t = skip; t < pass.tokens.size(); ++t) {
                    const auto x = keep.kept(i)[t];
                    for (std::size_t d = 0; d < x.size(); ++d) { sums[i][d] += double{x[d]}; }
                }
            }
            count += pass.tokens.size() - skip;
        },
        options.progress);
    if (count == 0) {
        fail("patch: the mean over a text of {} tokens: expected at least 2", text.size());
    }
    for (std::size_t i = 0; i < sums.size(); ++i) {
        for (std::size_t d = 0; d < sums[i].size(); ++d) {
            out.rows_of[i](0, d) = static_cast<float>(sums[i][d] / static_cast<double>(count));
        }
    }
    return out;
}

}  // namespace detail

#endif

}  // namespace xlens
