// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>

#include <limits>
#include <span>

#if XLENS_DEFINES(kernels)
#include <xlens/core/simd.hpp>
#include <xlens/kernels/lanes.hpp>

#include <cmath>
#endif

namespace xlens::kernels {

/// log Σ_i exp(x_i) of a row that comes in parts. Kept as the largest number m so far and
/// Σ_i exp(x_i - m), so that a part costs one exponential a number and no logarithm
/// (Milakov and Gimelshein 2018, 1805.02867). Of parts in one order the same bits.
class log_sum {
public:
    /// A NaN makes the sum NaN, a +inf makes it +inf or NaN.
    void add(std::span<const float> x);
    /// What another row sums to.
    void add(const log_sum& other);

    /// -inf where there was no number, or -inf alone.
    [[nodiscard]] double value() const;

private:
    void raise(float largest);
    [[nodiscard]] float shift() const;

    float m_largest = -std::numeric_limits<float>::infinity();
    double m_sum = 0.0;  // Σ_i exp(x_i - shift())
};

#if XLENS_DEFINES(kernels)
XLENS_API float log_sum::shift() const { return std::isinf(m_largest) ? 0.0F : m_largest; }

XLENS_API void log_sum::raise(float largest) {
    if (!(largest > m_largest)) { return; }
    if (m_sum != 0.0) { m_sum *= std::exp(double{m_largest} - double{largest}); }
    m_largest = largest;
}

XLENS_API void log_sum::add(std::span<const float> x) {
    raise(maximum(x));
    const batch shift(log_sum::shift());
    m_sum += double{sum_of(x, -std::numeric_limits<float>::infinity(),
                           [shift](const batch& v) { return xsimd::exp(v - shift); })};
}

XLENS_API void log_sum::add(const log_sum& other) {
    if (other.m_sum == 0.0) { return; }
    raise(other.m_largest);
    m_sum += other.m_sum * std::exp(double{other.shift()} - double{shift()});
}

XLENS_API double log_sum::value() const { return std::log(m_sum) + double{shift()}; }
#endif

}  // namespace xlens::kernels
