// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <span>

namespace xlens::reference {

/// Turns the first 2·cos.size() elements of a head: pair (a, b) of frequency i becomes
/// (a·cos_i - b·sin_i, b·cos_i + a·sin_i). Style: the kernels' rope_style, halves or pairs.
template <class Style>
void rope(std::span<float> head, std::span<const float> cos, std::span<const float> sin,
          Style style) {
    for (std::size_t i = 0; i < cos.size(); ++i) {
        float& first = style == Style::halves ? head[i] : head[2 * i];
        float& second = style == Style::halves ? head[i + cos.size()] : head[2 * i + 1];
        const auto a = static_cast<double>(first);
        const auto b = static_cast<double>(second);
        const auto c = static_cast<double>(cos[i]);
        const auto s = static_cast<double>(sin[i]);
        first = static_cast<float>(a * c - b * s);
        second = static_cast<float>(b * c + a * s);
    }
}

}  // namespace xlens::reference
