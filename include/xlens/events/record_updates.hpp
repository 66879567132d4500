// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/error.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/events/options.hpp>
#include <xlens/hooks/policy.hpp>
#include <xlens/model/transformer.hpp>
#include <xlens/nn/dominance.hpp>
#include <xlens/storage/rows.hpp>
#include <xlens/trace/observe.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace xlens {

/// What is kept of one layer of a pass over T positions, k sub-updates each.
struct recorded_layer {
    xt::xtensor<float, 2> before;      ///< (T, D)
    xt::xtensor<float, 2> after;       ///< (T, D)
    std::vector<sub_update> dominant;  ///< (T, k), most dominant first
    std::vector<sub_update> random;    ///< (T, k)
    std::vector<float> dominant_share;  ///< (T): Σ over the dominant of |m_i|·‖v_i‖ / Σ over all
    /// (T): 1/ρ of the norm behind the FFN, or 1. What a sub-update writes is scale·m_i·v_i.
    std::vector<float> scale;
};

/// Policy that records what the events of a pass are found from: residuals before and after every
/// FFN update, the k dominant sub-updates and k random ones. It edits nothing. Which are random
/// depends on the seed, the token's place in the text and the layer. Memory L·T·(2·D + 16·k)
/// floats.
class record_updates {
public:
    static constexpr hook hooks = hook::embedding | hook::before | hook::coefficients | hook::after;

    /// Of passes of this model, which it borrows.
    record_updates(const transformer<>& model, std::size_t sub_updates, std::uint64_t seed)
        : m_model(&model),
          m_norms(model.value_norms()),
          m_sub_updates(std::min(sub_updates, m_norms.front().size())),
          m_seed(seed) {}

    /// Position 0 of the sequences to come is this token of the text.
    void sequence_begins_at(std::size_t token) { m_origin = token; }

    [[nodiscard]] const std::vector<recorded_layer>& layers() const { return m_layers; }
    /// k: what was asked for, or F if that is less.
    [[nodiscard]] std::size_t sub_updates() const { return m_sub_updates; }

    /// Throws xlens::error if the norms are not those of a model of these sizes.
    void check(const model_sizes& model) const { detail::check_value_norms(m_norms, model); }

    void embedding(const site& where, rows<float>) {
        m_layers.clear();
        m_first = m_origin + where.first_position;
    }
    void before(const site&, rows<float> x) { m_layers.emplace_back().before = x.tensor(); }
    void coefficients(const site& where, rows<float> m) {
        recorded_layer& to = m_layers.back();
        to.dominant.resize(m.count() * m_sub_updates);
        to.random.resize(m.count() * m_sub_updates);
        to.dominant_share.resize(m.count());
        to.scale.resize(m.count());
        m_model->blocks[where.layer].ffn.scale(m, to.scale);
        std::atomic<bool> finite = true;
        parallel_for(m.count(), 8 * m.width(), [&](std::size_t t) {
            const auto part = [&](std::vector<sub_update>& all) {
                return std::span(all).subspan(t * m_sub_updates, m_sub_updates);
            };
            pick_random(where.layer, m_first + t, m[t], part(to.random));
            to.dominant_share[t] = pick_dominant(where.layer, m[t], part(to.dominant));
            if (std::isnan(to.dominant_share[t])) { finite = false; }
        });
        if (!finite) {
            fail("layer {}: coefficients that are no finite numbers, no sub-update is dominant",
                 where.layer);
        }
    }
    void after(const site&, rows<float> x) { m_layers.back().after = x.tensor(); }

private:
    /// Returns the share of all dominance that those picked have; NaN where it has no sense.
    float pick_dominant(std::size_t layer, std::span<const float> m,
                        std::span<sub_update> out) const {
        const std::span<const float> norms = m_norms[layer];
        dominant_neurons most_dominant;
        std::size_t count = 0;
        double share = 0.0;
        for (const std::size_t i : most_dominant(m, norms, out.size())) {
            out[count] = make_sub_update({layer, i}, m[i], norms[i]);
            share += double{out[count++].dominance};
        }
        double sum = 0.0;
        for (const float d : most_dominant.dominances()) { sum += double{d}; }
        if (!std::isfinite(sum)) { return NAN; }
        return sum == 0.0 ? 0.0F : static_cast<float>(share / sum);
    }

    /// Different neurons, all equally likely.
    void pick_random(std::size_t layer, std::size_t position, std::span<const float> m,
                     std::span<sub_update> out) const {
        std::uint64_t tries = 0;
        for (std::size_t i = 0; i < out.size(); ++i) {
            const auto taken = [&](std::size_t index) {
                return std::any_of(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(i),
                                   [&](const sub_update& p) { return p.where.index == index; });
            };
            std::size_t index = 0;
            do {
                index = static_cast<std::size_t>(
                    detail::drawn(detail::draw::neuron, m_seed, position, layer, tries++) %
                    m.size());
            } while (taken(index));
            out[i] = make_sub_update({layer, index}, m[index], m_norms[layer][index]);
        }
    }

    const transformer<>* m_model;
    std::vector<std::span<const float>> m_norms;
    std::size_t m_sub_updates;
    std::uint64_t m_seed;
    std::size_t m_origin = 0;  ///< the token at position 0
    std::size_t m_first = 0;   ///< the token at the first row of the pass
    std::vector<recorded_layer> m_layers;
};

}  // namespace xlens
