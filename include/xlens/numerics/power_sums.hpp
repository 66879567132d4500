// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace xlens {

/// Sums of the first four powers of many numbers about a shift, which is the mean of the first that
/// come: near the mean of all, so that it takes nothing from their precision. In double, in an
/// order that depends on the numbers and their parts alone.
class power_sums {
public:
    void add(std::span<const float> numbers) {
        if (numbers.empty()) { return; }
        if (m_count == 0.0) {
            double sum = 0.0;
            for (const float x : numbers) { sum += double{x}; }
            m_shift = sum / static_cast<double>(numbers.size());
        }
        // Sums beside each other, which do not wait for one another.
        std::array<std::array<double, together>, 4> part{};
        std::size_t i = 0;
        for (; i + together <= numbers.size(); i += together) {
            for (std::size_t j = 0; j < together; ++j) {
                const double x = double{numbers[i + j]} - m_shift;
                const double square = x * x;
                part[0][j] += x;
                part[1][j] += square;
                part[2][j] += square * x;
                part[3][j] += square * square;
            }
        }
        for (; i < numbers.size(); ++i) {
            const double x = double{numbers[i]} - m_shift;
            part[0][0] += x;
            part[1][0] += x * x;
            part[2][0] += x * x * x;
            part[3][0] += x * x * x * x;
        }
        for (std::size_t p = 0; p < part.size(); ++p) {
            for (const double sum : part[p]) { m_of[p] += sum; }
        }
        m_count += static_cast<double>(numbers.size());
    }
    /// Takes in those of another part.
    void merge(const power_sums& other) {
        if (other.m_count == 0.0) { return; }
        if (m_count == 0.0) {
            *this = other;
            return;
        }
        const double d = other.m_shift - m_shift;
        const auto& [a, b, c, e] = other.m_of;
        const double n = other.m_count;
        m_of[0] += a + n * d;
        m_of[1] += b + 2.0 * d * a + n * d * d;
        m_of[2] += c + 3.0 * d * b + 3.0 * d * d * a + n * d * d * d;
        m_of[3] += e + 4.0 * d * c + 6.0 * d * d * b + 4.0 * d * d * d * a + n * d * d * d * d;
        m_count += n;
    }
    /// m_4/m_2² - 3 with the central moments m_p = 1/N Σ (x - x̄)^p. NaN where all are equal.
    [[nodiscard]] double excess_kurtosis() const {
        const double a = m_of[0] / m_count;
        const double b = m_of[1] / m_count;
        const double m2 = b - a * a;
        const double m4 =
            m_of[3] / m_count - 4.0 * a * m_of[2] / m_count + 6.0 * a * a * b - 3.0 * a * a * a * a;
        return m4 / (m2 * m2) - 3.0;
    }

private:
    static constexpr std::size_t together = 8;

    double m_shift = 0.0;
    double m_count = 0.0;
    std::array<double, 4> m_of{};
};

}  // namespace xlens
