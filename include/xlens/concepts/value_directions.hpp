// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/neuron.hpp>
#include <xlens/core/progress.hpp>
#include <xlens/core/types.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/lens/logit_lens.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/numerics/directions.hpp>
#include <xlens/storage/rows.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#if XLENS_DEFINES(concepts)
#include <xlens/concepts/gram.hpp>
#include <xlens/concepts/standard_scores.hpp>
#include <xlens/core/aligned.hpp>
#include <xlens/core/error.hpp>
#include <xlens/kernels/add.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/storage/decode_columns.hpp>
#include <xlens/storage/matrix.hpp>

#include <algorithm>
#endif

namespace xlens {

/// In which space the cosine of two value vectors is taken.
enum class cluster_space {
    raw,        ///< cos(v_i, v_j)
    projected,  ///< cos(E·v_i, E·v_j), with the form of the projection
    centred,    ///< the same with e_w - ē for e_w: of scores from which their mean over V is taken
};

inline constexpr std::string_view name_of(cluster_space space) {
    return space == cluster_space::raw         ? "raw"
           : space == cluster_space::projected ? "projected"
                                               : "centred";
}
XLENS_API cluster_space parse_cluster_space(std::string_view name);

/// All L·F neurons of a model, in order.
XLENS_API std::vector<neuron> all_neurons(const transformer<>& model);

/// The value vectors (n, D) of these neurons, which ascend. `progress(done, total)` counts layers.
/// Throws xlens::error for a neuron that the model lacks, or for another order.
XLENS_API xt::xtensor<float, 2> value_vectors(const transformer<>& model,
                                              std::span<const neuron> neurons,
                                              const progress_function& progress);

/// Turns value vectors into unit vectors whose plain cosines are the cosines of a cluster_space: in
/// D dimensions or fewer, never in V (concepts/gram.hpp). With projection::standard, whose scores
/// are (e_w·γ/σ_w)·(v - μ) (concepts/standard_scores.hpp), of these. Borrows the model.
class value_space {
public:
    /// A projected or centred space costs a Gram matrix, 2·V·D² multiply-adds, once;
    /// `progress(done, total)` counts its tokens.
    value_space(const transformer<>& model, cluster_space space, projection form,
                const progress_function& progress);

    /// Unit vectors (n, r), r <= D, of value vectors (n, D). Memory n·r floats.
    [[nodiscard]] unit_directions operator()(rows<const float> vectors) const;

private:
    logit_lens m_lens;
    projection m_form;
    std::optional<xt::xtensor<float, 2>> m_root;  // R (r, D), RᵀR = EᵀE
    std::vector<float> m_origin;                  // μ of projection::standard, else nothing
};

#if XLENS_DEFINES(concepts)

XLENS_API cluster_space parse_cluster_space(std::string_view name) {
    for (const auto space :
         {cluster_space::raw, cluster_space::projected, cluster_space::centred}) {
        if (name == name_of(space)) { return space; }
    }
    fail("space: expected raw, projected or centred, got '{}'", printable(name));
}

XLENS_API std::vector<neuron> all_neurons(const transformer<>& model) {
    std::vector<neuron> out;
    out.reserve(model.config.layers * model.config.inner_width);
    for (std::size_t l = 0; l < model.config.layers; ++l) {
        for (std::size_t i = 0; i < model.config.inner_width; ++i) { out.push_back({l, i}); }
    }
    return out;
}

XLENS_API xt::xtensor<float, 2> value_vectors(const transformer<>& model,
                                              std::span<const neuron> neurons,
                                              const progress_function& progress) {
    for (std::size_t i = 0; i < neurons.size(); ++i) {
        check_neuron(neurons[i], model.config.layers, model.config.inner_width);
        if (i > 0 && !(neurons[i - 1] < neurons[i])) {
            fail("neurons: expected ascending ones, got {} before {}", to_string(neurons[i - 1]),
                 to_string(neurons[i]));
        }
    }
    const auto values = model.value_matrices();
    xt::xtensor<float, 2> out = xt::empty<float>({neurons.size(), model.config.width});
    xt::xtensor<float, 2> layer = xt::empty<float>({model.config.inner_width, model.config.width});
    std::size_t next = 0;
    for (std::size_t l = 0; l < values.size(); ++l) {
        if (next < neurons.size() && neurons[next].layer == l) { values[l].columns(layer); }
        for (; next < neurons.size() && neurons[next].layer == l; ++next) {
            std::ranges::copy(rows<const float>(layer)[neurons[next].index],
                              rows<float>(out)[next].begin());
        }
        progress(l + 1, values.size());
    }
    return out;
}

XLENS_API value_space::value_space(const transformer<>& model, cluster_space space, projection form,
                                   const progress_function& progress)
    : m_lens(model), m_form(form) {
    if (space == cluster_space::raw) { return; }
    const bool centred = space == cluster_space::centred;
    if (form == projection::standard) {
        const standard_scores scores(model);
        m_origin.assign(scores.moments().mean().begin(), scores.moments().mean().end());
        m_form = projection::folded;  // of what is left
        m_root = gram_root(gram_matrix(model.unembedding, centred, progress, scores.factors()));
    } else {
        m_root = gram_root(gram_matrix(model.unembedding, centred, progress));
    }
}

XLENS_API unit_directions value_space::operator()(rows<const float> vectors) const {
    if (!m_root) { return directions_of(xt::xtensor<float, 2>(vectors.tensor())); }
    constexpr std::size_t part = 1024;
    const std::size_t rank = m_root->shape(0);
    const matrix<f32> root = as_matrix(*m_root);
    xt::xtensor<float, 2> out = xt::empty<float>({vectors.count(), rank});
    for (std::size_t first = 0; first < vectors.count(); first += part) {
        const std::size_t count = std::min(part, vectors.count() - first);
        xt::xtensor<float, 2> some = vectors.subrows(first, count).tensor();
        for (std::size_t n = 0; n < count && !m_origin.empty(); ++n) {
            kernels::add_scaled(-1.0F, m_origin, rows<float>(some)[n]);
        }
        const aligned_tensor prepared = m_lens.prepared(some, m_form);
        kernels::matmul(root, prepared, rows<float>(out).subrows(first, count));
    }
    return directions_of(std::move(out));
}

#endif

}  // namespace xlens
