// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/core/xtensor.hpp>
#include <xlens/storage/rows.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace xlens {

/// A stream of random numbers that begins anywhere: SplitMix64 (Steele, Lea and Flood 2014).
class random_stream {
public:
    /// The stream with this number of this seed: others begin elsewhere.
    explicit random_stream(std::uint64_t seed, std::uint64_t number = 0)
        : m_state(mixed(mixed(seed) + number)) {}

    /// 64 random bits.
    std::uint64_t operator()() { return mixed(m_state += golden); }

    /// Standard normal, by Marsaglia's polar method. Every step is a correctly rounded operation in
    /// a written order (a fused multiply-add is asked for by name, and the logarithm is our own),
    /// so that the bits are the same on every machine.
    double normal() {
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
    static constexpr std::uint64_t golden = 0x9E3779B97F4A7C15U;

    static std::uint64_t mixed(std::uint64_t z) {
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
        return z ^ (z >> 31U);
    }
    double between_minus_and_plus_one() {
        return std::fma(static_cast<double>((*this)() >> 11U), 0x1p-52, -1.0);
    }

    std::uint64_t m_state;
    double m_kept = 0.0;
    bool m_kept_is_there = false;
};

/// Mean and standard deviation of every coordinate of some vectors (N, D).
struct vector_moments {
    std::vector<float> mean;       ///< (D)
    std::vector<float> deviation;  ///< (D)

    vector_moments() = default;
    explicit vector_moments(rows<const float> vectors)
        : mean(vectors.width()), deviation(vectors.width()) {
        std::vector<double> sum(mean.size());
        std::vector<double> squares(mean.size());
        const auto each = [&](auto visit) {
            for (std::size_t n = 0; n < vectors.count(); ++n) {
                const std::span<const float> v = vectors[n];
                for (std::size_t d = 0; d < v.size(); ++d) { visit(d, double{v[d]}); }
            }
        };
        const auto count = static_cast<double>(vectors.count());
        each([&](std::size_t d, double x) { sum[d] += x; });
        for (double& s : sum) { s /= count; }
        // Fused by name, so that no compiler's choice changes the bits.
        each([&](std::size_t d, double x) {
            squares[d] = std::fma(x - sum[d], x - sum[d], squares[d]);
        });
        for (std::size_t d = 0; d < mean.size(); ++d) {
            mean[d] = static_cast<float>(sum[d]);
            deviation[d] = static_cast<float>(std::sqrt(squares[d] / count));
        }
    }
};

/// The control for a claim about vectors: Gaussian vectors whose coordinates have the mean and the
/// variance of theirs, the baseline of Geva et al. 2022, section 4. Vector i is made of stream
/// `first` + i of the seed and of nothing else, so that any number of threads makes the same ones,
/// and so does every machine.
class random_vectors {
public:
    explicit random_vectors(vector_moments like, std::uint64_t seed, std::uint64_t first = 0)
        : m_like(std::move(like)), m_seed(seed), m_first(first) {}

    [[nodiscard]] std::size_t width() const { return m_like.mean.size(); }
    [[nodiscard]] const vector_moments& moments() const { return m_like; }

    /// out = vector i (D).
    void operator()(std::size_t i, std::span<float> out) const {
        random_stream draw(m_seed, m_first + i);
        for (std::size_t d = 0; d < out.size(); ++d) {
            out[d] =
                std::fma(m_like.deviation[d], static_cast<float>(draw.normal()), m_like.mean[d]);
        }
    }
    /// Vectors [first, first + count) (count, D).
    [[nodiscard]] xt::xtensor<float, 2> some(std::size_t first, std::size_t count) const {
        xt::xtensor<float, 2> out = xt::empty<float>({count, width()});
        constexpr std::size_t work = 64;  // of one normal number
        parallel_for(count, work * width(),
                     [&](std::size_t i) { (*this)(first + i, rows<float>(out)[i]); });
        return out;
    }

private:
    vector_moments m_like;
    std::uint64_t m_seed;
    std::uint64_t m_first;
};

}  // namespace xlens
