// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/lens/unembedding_rows.hpp>
#include <xlens/nn/unembedding.hpp>
#include <xlens/storage/rows.hpp>

#include <cmath>
#include <cstddef>
#include <span>
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

/// Mean ē (D) and covariance C = 1/V Σ_w (e_w - ē)(e_w - ē)ᵀ (D, D) of the unembedding's rows. They
/// say what the scores E·v of a vector do over the vocabulary without computing one: their mean is
/// ⟨ē, v⟩ and their variance vᵀCv.
/// Cost of making them: V·D² multiply-adds; memory D² doubles beside a tile of E.
class token_moments {
public:
    explicit token_moments(const unembedding<any_matrix>& e);

    /// The same moments of γ⊙e_w.
    [[nodiscard]] token_moments times(std::span<const float> gain) const;

    [[nodiscard]] std::span<const float> mean() const { return m_mean; }
    [[nodiscard]] const xt::xtensor<float, 2>& covariance() const { return m_covariance; }

    /// C·v_n of each row. (N, D) -> (N, D).
    void apply(rows<const float> v, rows<float> out) const;
    /// out_n = √(v_nᵀCv_n), the standard deviation of the scores E·v_n over the vocabulary.
    /// (N, D) -> (N). Cost N·D².
    void deviations(rows<const float> v, std::span<float> out) const;

private:
    static constexpr std::size_t tile_rows = 1024;

    /// products += Σ_r (t_r - ē)(t_r - ē)ᵀ. Within a tile in f32, then in doubles.
    void add_products(rows<float> tile, xt::xtensor<double, 2>& products) const;

    std::vector<float> m_mean;
    xt::xtensor<float, 2> m_covariance;
};

#if XLENS_DEFINES(concepts)

XLENS_API token_moments::token_moments(const unembedding<any_matrix>& e)
    : m_mean(mean_unembedding(e)), m_covariance(xt::zeros<float>({e.width(), e.width()})) {
    xt::xtensor<double, 2> products = xt::zeros<double>(m_covariance.shape());
    for_each_tile(e, tile_rows, [&](rows<float> tile) { add_products(tile, products); });
    m_covariance = xt::cast<float>(products / static_cast<double>(e.vocabulary()));
}

XLENS_API token_moments token_moments::times(std::span<const float> gain) const {
    token_moments out = *this;
    for (std::size_t d = 0; d < gain.size(); ++d) {
        out.m_mean[d] *= gain[d];
        for (std::size_t c = 0; c < gain.size(); ++c) {
            out.m_covariance(d, c) *= gain[d] * gain[c];
        }
    }
    return out;
}

XLENS_API void token_moments::apply(rows<const float> v, rows<float> out) const {
    kernels::matmul(as_matrix(m_covariance), v, out);
}

XLENS_API void token_moments::deviations(rows<const float> v, std::span<float> out) const {
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

XLENS_API void token_moments::add_products(rows<float> tile,
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
