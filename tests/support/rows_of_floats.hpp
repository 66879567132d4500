// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace xlens::test {

/// n normal numbers, the same for the same seed on every platform with this standard library.
inline std::vector<float> random_row(std::size_t n, std::uint32_t seed, float deviation = 1.0F) {
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal(0.0F, deviation);
    std::vector<float> out(n);
    for (float& v : out) { v = normal(generator); }
    return out;
}

/// A copy of a row that begins `shift` floats into its memory.
class shifted_row {
public:
    shifted_row(std::span<const float> values, std::size_t shift)
        : m_data(shift + values.size()), m_shift(shift) {
        std::copy(values.begin(), values.end(), row().begin());
    }
    [[nodiscard]] std::span<float> row() { return std::span(m_data).subspan(m_shift); }

private:
    std::vector<float> m_data;
    std::size_t m_shift;
};

/// Equal bit for bit.
inline bool same_bits(std::span<const float> a, std::span<const float> b) {
    if (a.size() != b.size()) { return false; }
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (std::bit_cast<std::uint32_t>(a[i]) != std::bit_cast<std::uint32_t>(b[i])) {
            return false;
        }
    }
    return true;
}

}  // namespace xlens::test
