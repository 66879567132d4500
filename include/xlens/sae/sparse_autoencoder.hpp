// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/sae/sae_site.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/storage/weight_matrix.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#if XLENS_DEFINES(sae)
#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/storage/formats.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>
#endif

namespace xlens {

struct model_sizes;

/// What an autoencoder's file says of it.
struct sae_facts {
    std::string name;               ///< its folder or file, for messages
    std::string architecture;       ///< standard or jumprelu
    std::string model;              ///< what it calls its model; may be empty
    std::uint64_t fingerprint = 0;  ///< of its tensors (storage/fingerprint.hpp)
    sae_place place;
    bool subtracts_bias = false;  ///< reads x - b_dec (apply_b_dec_to_input)
    /// Was trained on residuals whose mean over the width is 0 (TransformerLens'
    /// center_writing_weights): reads x - mean(x) in a model with LayerNorm, as that does.
    bool centred = false;
};

/// A sparse autoencoder of F features over vectors of width D:
///   z = x·W_enc + b_enc,  of x - b_dec where it subtracts its bias
///   f = relu(z), of a JumpReLU's (2407.14435) 0 where z ≤ θ
///   x̂ = f·W_dec + b_dec = Σ_i f_i·d_i + b_dec
/// so that f_i·d_i is to a residual what m_i·v_i is: a feature's activation times its direction.
/// Matrices stay in the mapped file, which a copy shares.
class sparse_autoencoder {
public:
    /// Matrices as the file has them: W_enc (D, F), W_dec (F, D); `owner` keeps them.
    struct weights {
        any_matrix encoder;  ///< (F, D): W_encᵀ
        any_matrix decoder;  ///< (F, D): row i is d_i
        xt::xtensor<float, 1> encoder_bias;
        xt::xtensor<float, 1> decoder_bias;
        xt::xtensor<float, 1> threshold;  ///< (F), or (0): none
    };
    sparse_autoencoder(sae_facts facts, weights w, std::shared_ptr<const void> owner);

    [[nodiscard]] const sae_facts& facts() const { return m_facts; }
    [[nodiscard]] std::size_t width() const { return m_weights.decoder.cols(); }     ///< D
    [[nodiscard]] std::size_t features() const { return m_weights.decoder.rows(); }  ///< F
    /// Row i: the direction d_i.
    [[nodiscard]] const any_matrix& directions() const { return m_weights.decoder; }

    /// Activations (N, F) of vectors (N, D). `centre`: of a model with LayerNorm
    /// (sae_facts::centred).
    /// Throws xlens::error where one is not finite. Cost 2·N·F·D.
    void encode(rows<const float> x, rows<float> activations, bool centre = false) const;
    /// x̂ (N, D) of activations (N, F).
    void decode(rows<const float> activations, rows<float> x) const;
    /// d_i (D). Throws xlens::error for a feature that there is not.
    void direction(std::size_t feature, std::span<float> out) const;

    /// Throws xlens::error naming both values unless a model of these sizes has the place.
    void check(const model_sizes& model) const;

private:
    sae_facts m_facts;
    weights m_weights;
    std::shared_ptr<const void> m_owner;
};

#if XLENS_DEFINES(sae)

XLENS_API sparse_autoencoder::sparse_autoencoder(sae_facts facts, weights w,
                                                 std::shared_ptr<const void> owner)
    : m_facts(std::move(facts)), m_weights(std::move(w)), m_owner(std::move(owner)) {}

XLENS_API void sparse_autoencoder::encode(rows<const float> x, rows<float> activations,
                                          bool centre) const {
    xt::xtensor<float, 2> in = x.tensor();
    const auto& bias = m_weights.decoder_bias;
    for (std::size_t n = 0; n < x.count(); ++n) {
        const std::span<float> row = rows<float>(in)[n];
        if (centre && m_facts.centred) {
            double mean = 0.0;
            for (const float v : row) { mean += double{v} / static_cast<double>(row.size()); }
            for (float& v : row) { v = static_cast<float>(double{v} - mean); }
        }
        if (m_facts.subtracts_bias) {
            for (std::size_t d = 0; d < row.size(); ++d) { row[d] -= bias(d); }
        }
    }
    kernels::matmul(m_weights.encoder, in, activations);
    const auto& shift = m_weights.encoder_bias;
    const auto& threshold = m_weights.threshold;
    std::atomic<bool> finite = true;
    parallel_for(x.count(), 4 * features(), [&](std::size_t n) {
        const std::span<float> z = activations[n];
        for (std::size_t i = 0; i < z.size(); ++i) {
            const float value = z[i] + shift(i);
            if (!std::isfinite(value)) { finite = false; }
            const float least = threshold.size() == 0 ? 0.0F : std::max(threshold(i), 0.0F);
            z[i] = value > least ? value : 0.0F;
        }
    });
    if (!finite) { fail("{}: an activation is not finite", m_facts.name); }
}

XLENS_API void sparse_autoencoder::decode(rows<const float> activations, rows<float> x) const {
    kernels::matmul_transposed(m_weights.decoder, activations, x);
    for (std::size_t n = 0; n < x.count(); ++n) {
        for (std::size_t d = 0; d < x.width(); ++d) { x[n][d] += m_weights.decoder_bias(d); }
    }
}

XLENS_API void sparse_autoencoder::direction(std::size_t feature, std::span<float> out) const {
    if (feature >= features()) {
        fail("{}: feature {}: expected 0 to {}", m_facts.name, feature, features() - 1);
    }
    m_weights.decoder.row(feature, out);
}

XLENS_API void sparse_autoencoder::check(const model_sizes& model) const {
    if (width() != model.width) {
        fail("{}: width {}, the model has {}", m_facts.name, width(), model.width);
    }
    if (m_facts.place.layer >= model.layers) {
        fail("{}: layer {}, the model has layers 0 to {}", m_facts.name, m_facts.place.layer,
             model.layers - 1);
    }
}

#endif

}  // namespace xlens
