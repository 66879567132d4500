// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/storage/rows.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#if XLENS_DEFINES(concepts)
#include <xlens/kernels/add.hpp>
#include <xlens/kernels/dot.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/storage/matrix.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <algorithm>
#endif

namespace xlens {

/// Mean μ (D) and covariance C = 1/N Σ_n (x_n - μ)(x_n - μ)ᵀ (D, D) of many vectors. They say what
/// the products ⟨x_n, q⟩ with another vector do over all n without computing one: their mean is
/// ⟨μ, q⟩ and their variance qᵀCq.
/// Cost of making them: N·D² multiply-adds; memory D² doubles beside a tile of vectors.
class second_moments {
public:
    /// `each_tile(visit)` calls visit(rows<float>) for all vectors in order, in blocks without gaps
    /// of any size that may be changed; `count` are all, `mean` is their mean.
    template <class EachTile>
    second_moments(std::size_t count, std::vector<float> mean, EachTile each_tile)
        : m_mean(std::move(mean)) {
        xt::xtensor<double, 2> products = xt::zeros<double>({m_mean.size(), m_mean.size()});
        each_tile([&](rows<float> tile) { add_products(tile, products); });
        m_covariance = xt::cast<float>(products / static_cast<double>(count));
    }

    [[nodiscard]] std::span<const float> mean() const { return m_mean; }
    [[nodiscard]] const xt::xtensor<float, 2>& covariance() const { return m_covariance; }

    /// C·v_n of each row. (N, D) -> (N, D).
    void apply(rows<const float> v, rows<float> out) const;
    /// out_n = √(v_nᵀCv_n), the standard deviation of the products with v_n. (N, D) -> (N). Cost
    /// N·D².
    void deviations(rows<const float> v, std::span<float> out) const;

protected:
    /// Makes them those of γ⊙x_n.
    void multiply(std::span<const float> gain);

private:
    /// products += Σ_r (t_r - μ)(t_r - μ)ᵀ. Within a tile in f32, then in doubles.
    void add_products(rows<float> tile, xt::xtensor<double, 2>& products) const;

    std::vector<float> m_mean;
    xt::xtensor<float, 2> m_covariance;
};

#if XLENS_DEFINES(concepts)

XLENS_API void second_moments::multiply(std::span<const float> gain) {
    for (std::size_t d = 0; d < gain.size(); ++d) {
        m_mean[d] *= gain[d];
        for (std::size_t c = 0; c < gain.size(); ++c) { m_covariance(d, c) *= gain[d] * gain[c]; }
    }
}

XLENS_API void second_moments::apply(rows<const float> v, rows<float> out) const {
    kernels::matmul(as_matrix(m_covariance), v, out);
}

XLENS_API void second_moments::deviations(rows<const float> v, std::span<float> out) const {
    constexpr std::size_t batch_rows = 512;
    xt::xtensor<float, 2> product = xt::empty<float>({batch_rows, v.width()});
    for (std::size_t n = 0; n < v.count(); n += batch_rows) {
        const rows<const float> some = v.subrows(n, std::min(batch_rows, v.count() - n));
        const rows<float> to = rows<float>(product).subrows(0, some.count());
        apply(some, to);
        for (std::size_t i = 0; i < some.count(); ++i) {
            out[n + i] = std::sqrt(std::max(kernels::dot(some[i], to[i]), 0.0F));
        }
    }
}

XLENS_API void second_moments::add_products(rows<float> tile,
                                            xt::xtensor<double, 2>& products) const {
    const std::size_t width = m_mean.size();
    xt::xtensor<float, 2> turned = xt::empty<float>({width, tile.count()});
    for (std::size_t r = 0; r < tile.count(); ++r) {
        kernels::add_scaled(-1.0F, m_mean, tile[r]);
        for (std::size_t d = 0; d < width; ++d) { turned(d, r) = tile[r][d]; }
    }
    xt::xtensor<float, 2> part = xt::empty<float>({width, width});
    const matrix<f32> centred(reinterpret_cast<const std::byte*>(tile.data()), tile.count(), width);
    kernels::matmul_transposed(centred, turned, part);
    products += part;
}

#endif

}  // namespace xlens
