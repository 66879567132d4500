// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace xlens {

/// Random numbers that are the same on every machine for the same seed: the distributions of the
/// standard library differ from one to another, the generator does not.
class random_draws {
public:
    explicit random_draws(std::uint64_t seed) : m_bits(seed) {}

    /// A number in [0, 1), of 53 random bits.
    double share() { return static_cast<double>(m_bits() >> 11U) * 0x1p-53; }
    /// A whole number in [0, count), count > 0.
    std::size_t below(std::size_t count) {
        const auto drawn = static_cast<std::size_t>(share() * static_cast<double>(count));
        return std::min(drawn, count - 1);
    }
    /// The first i with partial_sums[i] > a number drawn from [0, last sum): index i is drawn with
    /// probability (partial_sums[i] - partial_sums[i - 1]) / last sum. Sums ascend, the last is
    /// positive.
    std::size_t weighted(std::span<const double> partial_sums) {
        const auto first = partial_sums.begin();
        const auto found =
            std::upper_bound(first, partial_sums.end(), share() * partial_sums.back());
        // Rounding may give the last sum itself: the last index that adds to it.
        const auto last = std::lower_bound(first, partial_sums.end(), partial_sums.back());
        return static_cast<std::size_t>(std::min(found, last) - first);
    }
    /// `count` of the numbers 0 .. total - 1, each set equally likely, in ascending order; all of
    /// them if count >= total. A partial Fisher-Yates shuffle; O(total).
    std::vector<std::size_t> sample(std::size_t total, std::size_t count) {
        std::vector<std::size_t> numbers(total);
        for (std::size_t i = 0; i < total; ++i) { numbers[i] = i; }
        if (count >= total) { return numbers; }
        for (std::size_t i = 0; i < count; ++i) {
            std::swap(numbers[i], numbers[i + below(total - i)]);
        }
        numbers.resize(count);
        std::sort(numbers.begin(), numbers.end());
        return numbers;
    }

private:
    std::mt19937_64 m_bits;
};

}  // namespace xlens
