// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/storage/rows.hpp>

#include <cmath>
#include <cstddef>
#include <map>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(lens)
#include <xlens/core/error.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/storage/formats.hpp>
#include <xlens/storage/matrix.hpp>
#endif

namespace xlens {

/// out = x / √(mean(x²) + ε), by row: what translators read, since a residual's length says more
/// about its layer than about its next token. x (N, D) -> out (N, D); may be the same memory.
XLENS_API void unit_rms(rows<const float> x, rows<float> out);

/// One layer's affine map to the final residual: y = A·x̂ + b, x̂ = x of unit RMS.
struct translator {
    xt::xtensor<float, 2> weights;  ///< A (D, D)
    xt::xtensor<float, 1> bias;     ///< b (D)

    /// x (N, D) in place.
    void operator()(rows<float> x) const;
};

/// What stands between a residual of some layer and the logit lens: an affine map a layer that says
/// what the final residual will be. Fitted by least squares ("Jump to conclusions", Din et al.
/// 2023, 2303.09435; lens/fit_linear_lens.hpp) or for the model's own predictions (a tuned lens,
/// Belrose et al. 2023, 2303.08112; lens/fit_tuned_lens.hpp). Layers without a map are read as they
/// are.
class linear_lens {
public:
    linear_lens() = default;

    void set(std::size_t layer, translator t) { m_layers.insert_or_assign(layer, std::move(t)); }
    [[nodiscard]] bool has(std::size_t layer) const { return m_layers.contains(layer); }
    [[nodiscard]] const std::map<std::size_t, translator>& layers() const { return m_layers; }

    /// Replaces residuals (N, D) after `layer` by what they will be after the last layer. Cost
    /// 2·N·D².
    void translate(std::size_t layer, rows<float> x) const;

private:
    std::map<std::size_t, translator> m_layers;
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
    xt::xtensor<float, 2> unit = xt::empty<float>({x.count(), x.width()});
    unit_rms(x, unit);
    kernels::matmul(as_matrix(weights), unit, x);
    for (std::size_t n = 0; n < x.count(); ++n) {
        for (std::size_t d = 0; d < x.width(); ++d) { x[n][d] += bias(d); }
    }
}

XLENS_API void linear_lens::translate(std::size_t layer, rows<float> x) const {
    const auto found = m_layers.find(layer);
    if (found != m_layers.end()) { found->second(x); }
}

#endif

}  // namespace xlens
