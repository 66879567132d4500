// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <numeric>
#include <span>

namespace xlens::kernels {

/// Σ_i a_i·b_i of two rows of equal length in double, in one order for any instruction set.
inline double dot_in_double(std::span<const float> a, std::span<const float> b) {
    constexpr std::size_t sums = 16;
    std::array<double, sums> sum{};
    const std::size_t whole = a.size() / sums * sums;
    for (std::size_t i = 0; i < whole; i += sums) {
        for (std::size_t j = 0; j < sums; ++j) { sum[j] += double{a[i + j]} * double{b[i + j]}; }
    }
    for (std::size_t i = whole; i < a.size(); ++i) { sum[0] += double{a[i]} * double{b[i]}; }
    return std::accumulate(sum.begin(), sum.end(), 0.0);
}

}  // namespace xlens::kernels
