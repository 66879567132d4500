// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>

#if XLENS_DEFINES(lens)
#include <xlens/core/hash.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/storage/formats.hpp>
#include <xlens/storage/matrix.hpp>

#include <cmath>
#include <span>
#endif

namespace xlens {

/// out = x / √(mean(x²) + ε), by row: what translators read, since a residual's length says more
/// about its layer than about its next token. x (N, D) -> out (N, D); may be the same memory.
XLENS_API void unit_rms(rows<const float> x, rows<float> out);

/// What a translator makes of a residual x.
enum class translation : std::uint8_t {
    of_unit,  ///< A·x̂ + b, x̂ = x of unit RMS: what xlens fits
    of_raw,   ///< A·x + b: a Jacobian lens
    added,    ///< x + A·x + b: a tuned lens as its authors publish it
};

/// One layer's affine map to the final residual.
struct translator {
    xt::xtensor<float, 2> weights;  ///< A (D, D)
    xt::xtensor<float, 1> bias;     ///< b (D), or (0) for none
    translation how = translation::of_unit;

    /// x (N, D) in place.
    void operator()(rows<float> x) const;
};

/// What stands between a residual of some layer and the logit lens: an affine map a layer that says
/// what the final residual will be. Fitted by least squares ("Jump to conclusions", Din et al.
/// 2023, 2303.09435; lens/fit_linear_lens.hpp), for the model's own predictions (a tuned lens,
/// Belrose et al. 2023, 2303.08112; lens/fit_tuned_lens.hpp), or the mean derivative of the final
/// residual (a Jacobian lens; lens/fit_jacobian_lens.hpp); or read from a file
/// (lens/lens_file.hpp). Layers without a map are read as they are.
class linear_lens {
public:
    linear_lens() = default;

    /// The map of residuals after `layer`.
    void set(std::size_t layer, translator t) { m_layers.insert_or_assign(layer, std::move(t)); }
    [[nodiscard]] bool has(std::size_t layer) const { return m_layers.contains(layer); }
    [[nodiscard]] bool empty() const { return m_layers.empty(); }
    [[nodiscard]] const std::map<std::size_t, translator>& layers() const { return m_layers; }
    void erase(std::size_t layer) { m_layers.erase(layer); }

    /// The map of what enters layer 0, where a lens has one (a published tuned lens).
    void set_embedding(translator t) { m_embedding = std::move(t); }
    [[nodiscard]] const std::optional<translator>& embedding() const { return m_embedding; }

    /// Replaces residuals (N, D) after `layer` by what they will be after the last layer. Cost
    /// 2·N·D².
    void translate(std::size_t layer, rows<float> x) const;

    /// Tells lenses apart in the record of a run: a hash of all that is in it. O(its bytes).
    [[nodiscard]] std::uint64_t hash() const;

private:
    std::map<std::size_t, translator> m_layers;
    std::optional<translator> m_embedding;
};

#if XLENS_DEFINES(lens)

XLENS_API void unit_rms(rows<const float> x, rows<float> out) {
    constexpr float epsilon = 1e-5F;
    for (std::size_t n = 0; n < x.count(); ++n) {
        const float squares = kernels::dot(x[n], x[n]) / static_cast<float>(x.width());
        const float scale = 1.0F / std::sqrt(squares + epsilon);
        for (std::size_t d = 0; d < x.width(); ++d) { out[n][d] = x[n][d] * scale; }
    }
}

XLENS_API void translator::operator()(rows<float> x) const {
    xt::xtensor<float, 2> read = xt::empty<float>({x.count(), x.width()});
    if (how == translation::of_unit) {
        unit_rms(x, read);
    } else {
        read = x.tensor();
    }
    xt::xtensor<float, 2> out = xt::empty<float>({x.count(), x.width()});
    kernels::matmul(as_matrix(weights), read, out);
    for (std::size_t n = 0; n < x.count(); ++n) {
        for (std::size_t d = 0; d < x.width(); ++d) {
            const float whole = bias.size() == 0 ? out(n, d) : out(n, d) + bias(d);
            x[n][d] = how == translation::added ? x[n][d] + whole : whole;
        }
    }
}

XLENS_API void linear_lens::translate(std::size_t layer, rows<float> x) const {
    const auto found = m_layers.find(layer);
    if (found != m_layers.end()) { found->second(x); }
}

XLENS_API std::uint64_t linear_lens::hash() const {
    fnv1a out;
    const auto add = [&](std::uint64_t place, const translator& t) {
        out.add(place);
        out.add(static_cast<std::uint64_t>(t.how));
        out.add(std::as_bytes(std::span(t.weights.data(), t.weights.size())));
        out.add(std::as_bytes(std::span(t.bias.data(), t.bias.size())));
    };
    if (m_embedding) { add(0, *m_embedding); }
    for (const auto& [layer, t] : m_layers) { add(layer + 1, t); }
    return out.value();
}

#endif

}  // namespace xlens
