// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/xtensor.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>
#include <vector>

namespace xlens {

/// Rows of a sub_updates expression once it is evaluated: which neurons, with which coefficients.
struct selection {
    std::vector<std::size_t> neurons;
    std::vector<float> coefficients;
    std::array<std::size_t, 2> shape{};  ///< of the expression: (rows, D)

    explicit selection(const xt::xtensor<float, 1>& m)
        : neurons(m.size()), coefficients(m.begin(), m.end()) {
        std::iota(neurons.begin(), neurons.end(), std::size_t{0});
    }

    /// Keeps the k rows with the largest key(i, m_i), largest first, ties by lower neuron. A key
    /// that is not a number counts as lowest.
    template <class Key>
    void keep_largest(std::size_t k, Key key) {
        std::vector<std::size_t> order(neurons.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::vector<float> keys(neurons.size());
        for (const std::size_t r : order) { keys[r] = key(neurons[r], coefficients[r]); }
        const auto larger = [&](std::size_t a, std::size_t b) {
            const bool a_nan = keys[a] != keys[a];
            const bool b_nan = keys[b] != keys[b];
            if (a_nan || b_nan) { return a_nan == b_nan ? neurons[a] < neurons[b] : b_nan; }
            return keys[a] != keys[b] ? keys[a] > keys[b] : neurons[a] < neurons[b];
        };
        const auto count = static_cast<std::ptrdiff_t>(std::min(k, order.size()));
        std::partial_sort(order.begin(), order.begin() + count, order.end(), larger);
        order.resize(static_cast<std::size_t>(count));
        keep_rows(order);
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

}  // namespace xlens
