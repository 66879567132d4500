// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/types.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

namespace xlens {

/// The indices of the k largest keys, largest first, of equals the lower index; all of them where
/// there are no more than k. A NaN counts as less than any number. O(n log k).
class largest_keys {
public:
    [[nodiscard]] std::span<const std::size_t> operator()(std::span<const float> keys,
                                                          std::size_t k) {
        m_order.resize(keys.size());
        std::iota(m_order.begin(), m_order.end(), std::size_t{0});
        const auto larger = [keys](std::size_t a, std::size_t b) {
            const bool a_nan = std::isnan(keys[a]);
            const bool b_nan = std::isnan(keys[b]);
            if (a_nan || b_nan) { return a_nan == b_nan ? a < b : b_nan; }
            return keys[a] != keys[b] ? keys[a] > keys[b] : a < b;
        };
        const std::size_t count = std::min(k, keys.size());
        std::partial_sort(m_order.begin(), m_order.begin() + static_cast<std::ptrdiff_t>(count),
                          m_order.end(), larger);
        return std::span<const std::size_t>(m_order).first(count);
    }

private:
    std::vector<std::size_t> m_order;  // kept from call to call
};

/// The dominance |m_i|·‖v_i‖ of a sub-update: how long the vector is that it adds to the residual
/// (Geva et al. 2022, section 4).
[[nodiscard]] inline float dominance_of(float coefficient, float norm) {
    return std::abs(coefficient) * norm;
}

/// A sub-update m_i·v_i of a pass: what every record of one has.
struct sub_update {
    neuron where;
    float coefficient = 0.0F;  ///< m_i, after the edits of policies that ran before it was recorded
    float norm = 0.0F;         ///< ‖v_i‖
    float dominance = 0.0F;    ///< |m_i|·‖v_i‖
};
[[nodiscard]] inline sub_update make_sub_update(const neuron& where, float coefficient,
                                                float norm) {
    return {where, coefficient, norm, dominance_of(coefficient, norm)};
}

/// The k dominant sub-updates of a layer by coefficients m (F) and norms ‖v_i‖ (F): their neurons,
/// most dominant first, of equals the lower; one whose dominance is no number comes last. The one
/// ranking by dominance there is. The result lives until the next call.
class dominant_neurons {
public:
    [[nodiscard]] std::span<const std::size_t> operator()(std::span<const float> m,
                                                          std::span<const float> norms,
                                                          std::size_t k) {
        m_dominance.resize(m.size());
        for (std::size_t i = 0; i < m.size(); ++i) {
            m_dominance[i] = dominance_of(m[i], norms[i]);
        }
        return m_largest(m_dominance, k);
    }
    /// |m_i|·‖v_i‖ of all neurons (F) of the last call.
    [[nodiscard]] std::span<const float> dominances() const { return m_dominance; }

private:
    std::vector<float> m_dominance;
    largest_keys m_largest;
};

}  // namespace xlens
