// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/numerics/splitmix64.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace xlens {

/// Standard normal numbers, one after the other, by Marsaglia's polar method. Every step is a
/// correctly rounded operation in a written order (a fused multiply-add is asked for by name, and
/// the logarithm is our own), so that the bits are the same on every machine.
class normal_draws {
public:
    /// Made of the stream with this number of this seed.
    explicit normal_draws(std::uint64_t seed, std::uint64_t number = 0)
        : m_bits(splitmix64::stream(seed, number)) {}

    double operator()() {
        if (m_kept_is_there) {
            m_kept_is_there = false;
            return m_kept;
        }
        double u = 0.0;
        double v = 0.0;
        double square = 0.0;
        do {
            u = between_minus_and_plus_one();
            v = between_minus_and_plus_one();
            square = std::fma(u, u, v * v);
        } while (square >= 1.0 || square == 0.0);
        const double factor = std::sqrt(-2.0 * log(square) / square);
        m_kept = v * factor;
        m_kept_is_there = true;
        return u * factor;
    }

    /// The natural logarithm of a positive normal number, to about 1e-15.
    static double log(double x) {
        // x = m·2^e with m in [√½, √2); log m = 2·artanh s = 2·Σ s^(2k+1)/(2k+1), s = (m-1)/(m+1).
        constexpr std::uint64_t fraction = (std::uint64_t{1} << 52U) - 1;
        const auto bits = std::bit_cast<std::uint64_t>(x);
        double m = std::bit_cast<double>((bits & fraction) | (std::uint64_t{1023} << 52U));
        double e = static_cast<double>(static_cast<std::int64_t>(bits >> 52U) - 1023);
        if (m > 1.4142135623730951) {
            m *= 0.5;
            e += 1.0;
        }
        const double s = (m - 1.0) / (m + 1.0);
        const double t = s * s;  // up to 0.0295: 0.0295^11/23 is below 1e-18
        double sum = 1.0 / 21.0;
        for (int odd = 19; odd >= 1; odd -= 2) { sum = std::fma(sum, t, 1.0 / odd); }
        return std::fma(2.0 * s, sum, e * 0.69314718055994530942);
    }

private:
    double between_minus_and_plus_one() {
        return std::fma(static_cast<double>(m_bits() >> 11U), 0x1p-52, -1.0);
    }

    splitmix64 m_bits;
    double m_kept = 0.0;
    bool m_kept_is_there = false;
};

/// The standard normal number of 64 random bits (Box and Muller 1958): where a number is drawn for
/// a place (splitmix64::of), not after another. Its last bits depend on the library's logarithm and
/// cosine.
inline float normal_of(std::uint64_t bits) {
    const double u = (static_cast<double>(bits >> 32U) + 1.0) * 0x1p-32;  // in (0, 1]
    const double angle = static_cast<double>(bits & 0xffffffffU) * 0x1p-32 * 2.0 * std::numbers::pi;
    return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(angle));
}

}  // namespace xlens
