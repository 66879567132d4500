// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/nn/feed_forward.hpp>

#include "support/stored_matrix.hpp"

#include <cstddef>

namespace xlens::test {

/// A feed-forward layer with random weights and the bytes that they are stored in.
template <class Activation, class Gate, class Format, class Weights = matrix<Format>>
class random_ffn {
public:
    /// `transposed`: matrices stored as (inputs, outputs), as GPT-2's files have them.
    random_ffn(std::size_t width, std::size_t inner, bool transposed = false)
        : m_gate(first(inner, width, transposed), second(inner, width, transposed), 1, 0,
                 transposed),
          m_up(first(inner, width, transposed), second(inner, width, transposed), 2, 0, transposed),
          m_values(first(width, inner, transposed), second(width, inner, transposed), 3, 0,
                   transposed) {
        linear<Weights> up{m_up.view(), bias(inner, 0.1F)};
        linear<Weights> values{m_values.view(), bias(width, -0.2F)};
        if constexpr (std::is_same_v<Gate, gated>) {
            layer = {linear<Weights>{m_gate.view(), {}}, up, values};
        } else {
            layer = {up, values};
        }
    }
    feed_forward<Activation, Gate, Weights> layer;

private:
    static std::size_t first(std::size_t outputs, std::size_t inputs, bool transposed) {
        return transposed ? inputs : outputs;
    }
    static std::size_t second(std::size_t outputs, std::size_t inputs, bool transposed) {
        return transposed ? outputs : inputs;
    }
    static xt::xtensor<float, 1> bias(std::size_t n, float step) {
        xt::xtensor<float, 1> out = xt::empty<float>({n});
        for (std::size_t i = 0; i < n; ++i) { out(i) = step * static_cast<float>(i % 5); }
        return out;
    }
    stored_matrix<Format> m_gate;
    stored_matrix<Format> m_up;
    stored_matrix<Format> m_values;
};

}  // namespace xlens::test
