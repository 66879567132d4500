// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <span>

namespace xlens::reference {

/// out_i += a·x_i, each sum rounded once.
inline void add_scaled(float a, std::span<const float> x, std::span<float> out) {
    for (std::size_t i = 0; i < out.size(); ++i) {
        const double sum = static_cast<double>(a) * static_cast<double>(x[i]);
        out[i] = static_cast<float>(sum + static_cast<double>(out[i]));
    }
}

}  // namespace xlens::reference
