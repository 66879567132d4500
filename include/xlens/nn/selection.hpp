// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/xtensor.hpp>
#include <xlens/nn/dominance.hpp>

#include <array>
#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

namespace xlens::detail {

/// Rows of a sub_updates expression once it is evaluated: which neurons, with which coefficients.
struct selection {
    std::vector<std::size_t> neurons;
    std::vector<float> coefficients;
    std::array<std::size_t, 2> shape{};  ///< of the expression: (rows, D)

    explicit selection(const xt::xtensor<float, 1>& m)
        : neurons(m.size()), coefficients(m.begin(), m.end()) {
        std::iota(neurons.begin(), neurons.end(), std::size_t{0});
    }

    /// Keeps the k rows with the largest key(i, m_i), largest first, of equals the earlier row. A
    /// key that is not a number counts as lowest.
    template <class Key>
    void keep_largest(std::size_t k, Key key) {
        std::vector<float> keys(neurons.size());
        for (std::size_t r = 0; r < keys.size(); ++r) {
            keys[r] = key(neurons[r], coefficients[r]);
        }
        largest_keys largest;
        const std::span<const std::size_t> order = largest(keys, k);
        keep_rows({order.begin(), order.end()});
    }

    template <class Predicate>
    void keep_if(Predicate predicate) {
        std::vector<std::size_t> order;
        for (std::size_t r = 0; r < neurons.size(); ++r) {
            if (predicate(neurons[r], coefficients[r])) { order.push_back(r); }
        }
        keep_rows(order);
    }

    /// m_i := change(m_i) where neuron i is among the rows.
    template <class Change>
    void edit(std::size_t i, Change change) {
        for (std::size_t r = 0; r < neurons.size(); ++r) {
            if (neurons[r] == i) { coefficients[r] = change(coefficients[r]); }
        }
    }

private:
    void keep_rows(const std::vector<std::size_t>& order) {
        std::vector<std::size_t> kept_neurons;
        std::vector<float> kept_coefficients;
        for (const std::size_t r : order) {
            kept_neurons.push_back(neurons[r]);
            kept_coefficients.push_back(coefficients[r]);
        }
        neurons = std::move(kept_neurons);
        coefficients = std::move(kept_coefficients);
    }
};

}  // namespace xlens::detail
