// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/compiled.hpp>
#include <xlens/core/error.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#if XLENS_DEFINES(kernels)
#include <xlens/core/simd.hpp>
#include <xlens/kernels/lanes.hpp>
#endif

// Rotary position embedding, Su et al., arXiv 2104.09864.

namespace xlens {

/// Which two elements of a head turn together, of n = 2·(number of frequencies) that turn at all.
enum class rope_style {
    halves,  ///< i and i + n/2: Hugging Face's rotate_half
    pairs    ///< 2i and 2i + 1: the paper, GPT-J, and llama models in GGUF, whose rows are permuted
};

/// Positions divided by `factor`.
struct rope_linear {
    float factor = 1.0F;
};

/// Llama 3.1: waves longer than original_context / low_freq_factor positions are divided by
/// `factor`, those shorter than original_context / high_freq_factor are kept, the ones between
/// blended.
struct rope_llama3 {
    float factor = 8.0F;
    float low_freq_factor = 1.0F;
    float high_freq_factor = 4.0F;
    float original_context = 8192.0F;
};

/// A divisor for each frequency: GGUF's tensor rope_freqs.weight, and the factors of LongRoPE
/// (2402.13753), whose cosines and sines are `magnitude` times as large.
struct rope_divisors {
    std::vector<float> values;
    float magnitude = 1.0F;
};

/// YaRN (2309.00071): waves that turn more than beta_fast times in the original context are kept,
/// those that turn less than beta_slow times divided by `factor`, the ones between blended; cosines
/// and sines are `magnitude` times as large.
struct rope_yarn {
    float factor = 1.0F;
    float original_context = 4096.0F;
    float beta_fast = 32.0F;
    float beta_slow = 1.0F;
    float magnitude = 1.0F;
    bool whole = true;  ///< the bounds of the blend are rounded outwards to whole pairs
};

using rope_scaling =
    std::variant<std::monostate, rope_linear, rope_llama3, rope_divisors, rope_yarn>;

/// The angles of a model: position p turns pair i by p·f_i, f_i = θ^(-2i/n) scaled. In float, step
/// by step as transformers computes them, since its rounding is part of what models were trained
/// with.
class rope_table {
public:
    rope_table() = default;
    /// `rotary_dims` = n. Throws xlens::error if n is odd, θ or a factor is not positive, or the
    /// number of divisors is not n/2.
    rope_table(std::size_t rotary_dims, float theta, const rope_scaling& scaling = {});

    /// f_i, in radians a position.
    [[nodiscard]] std::span<const float> frequencies() const { return m_frequencies; }

    /// cos_i = a·cos(position·f_i) and sin_i alike, of n/2 elements each; a is the scaling's
    /// magnitude, 1 in most.
    void angles(std::size_t position, std::span<float> cos, std::span<float> sin) const;

private:
    static void require_positive(const char* field, float value) {
        if (!(value > 0.0F) || std::isinf(value)) {
            fail("rope: {}: expected a positive number, got {}", field, value);
        }
    }

    static void scale(std::monostate) {}

    void scale(const rope_linear& s);

    void scale(const rope_llama3& s);

    void scale(const rope_divisors& s);

    void scale(const rope_yarn& s);

    float m_theta = 10000.0F;
    float m_magnitude = 1.0F;
    std::vector<float> m_frequencies;
};

#if XLENS_DEFINES(kernels)
XLENS_API rope_table::rope_table(std::size_t rotary_dims, float theta, const rope_scaling& scaling)
    : m_theta(theta) {
    if (rotary_dims % 2 != 0) { fail("rope: expected even dimensions, got {}", rotary_dims); }
    require_positive("theta", theta);
    m_frequencies.resize(rotary_dims / 2);
    for (std::size_t i = 0; i < m_frequencies.size(); ++i) {
        const float exponent = static_cast<float>(2 * i) / static_cast<float>(rotary_dims);
        m_frequencies[i] = 1.0F / std::pow(theta, exponent);
    }
    std::visit([this](const auto& s) { this->scale(s); }, scaling);
}

XLENS_API void rope_table::angles(std::size_t position, std::span<float> cos,
                                  std::span<float> sin) const {
    const auto p = static_cast<float>(position);
    for (std::size_t i = 0; i < m_frequencies.size(); ++i) {
        const float angle = p * m_frequencies[i];
        cos[i] = std::cos(angle);
        sin[i] = std::sin(angle);
        if (m_magnitude != 1.0F) {
            cos[i] *= m_magnitude;
            sin[i] *= m_magnitude;
        }
    }
}

XLENS_API void rope_table::scale(const rope_linear& s) {
    require_positive("factor", s.factor);
    for (float& f : m_frequencies) { f /= s.factor; }
}

XLENS_API void rope_table::scale(const rope_llama3& s) {
    require_positive("factor", s.factor);
    require_positive("low_freq_factor", s.low_freq_factor);
    require_positive("high_freq_factor - low_freq_factor", s.high_freq_factor - s.low_freq_factor);
    require_positive("original_context", s.original_context);
    const float longest = s.original_context / s.low_freq_factor;
    const float shortest = s.original_context / s.high_freq_factor;
    for (float& f : m_frequencies) {
        const float wavelength = 2.0F * std::numbers::pi_v<float> / f;
        if (wavelength > longest) {
            f /= s.factor;
        } else if (wavelength >= shortest) {
            const float keep = (s.original_context / wavelength - s.low_freq_factor) /
                               (s.high_freq_factor - s.low_freq_factor);
            f = (1.0F - keep) * f / s.factor + keep * f;
        }
    }
}

XLENS_API void rope_table::scale(const rope_divisors& s) {
    if (s.values.size() != m_frequencies.size()) {
        fail("rope: expected {} divisors, got {}", m_frequencies.size(), s.values.size());
    }
    for (std::size_t i = 0; i < m_frequencies.size(); ++i) {
        require_positive("divisor", s.values[i]);
        m_frequencies[i] /= s.values[i];
    }
    require_positive("magnitude", s.magnitude);
    m_magnitude = s.magnitude;
}

XLENS_API void rope_table::scale(const rope_yarn& s) {
    require_positive("factor", s.factor);
    require_positive("original_context", s.original_context);
    require_positive("beta_fast", s.beta_fast);
    require_positive("beta_slow", s.beta_slow);
    require_positive("magnitude", s.magnitude);
    m_magnitude = s.magnitude;
    // The pair that turns `turns` times in the original context, as a real number.
    const auto dims = static_cast<double>(2 * m_frequencies.size());
    const auto pair_of = [&](double turns) {
        return dims * std::log(double{s.original_context} / (turns * 2.0 * std::numbers::pi)) /
               (2.0 * std::log(double{m_theta}));
    };
    double low = pair_of(double{s.beta_fast});
    double high = pair_of(double{s.beta_slow});
    if (s.whole) {
        low = std::floor(low);
        high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, dims - 1.0);
    if (low == high) { high += 0.001; }
    for (std::size_t i = 0; i < m_frequencies.size(); ++i) {
        const double ramp = (static_cast<double>(i) - low) / (high - low);
        const auto slowed = static_cast<float>(std::clamp(ramp, 0.0, 1.0));
        const float f = m_frequencies[i];
        m_frequencies[i] = f / s.factor * slowed + f * (1.0F - slowed);
    }
}
#endif

namespace kernels {

/// Turns the first n = 2·cos.size() elements of a head in place: the pair (a, b) of frequency i
/// becomes (a·cos_i - b·sin_i, b·cos_i + a·sin_i). The rest of the head is left alone.
XLENS_API void rope(std::span<float> head, std::span<const float> cos, std::span<const float> sin,
                    rope_style style);

#if XLENS_DEFINES(kernels)
namespace detail {

/// (a + ib)·(cos + i·sin) of each lane.
inline std::pair<batch, batch> rotate(const batch& a, const batch& b, const batch& cos,
                                      const batch& sin) {
    return {subtract_product(b, sin, a * cos), multiply_add(a, sin, b * cos)};
}

/// A batch of `count` pairs (first[i·step], second[i·step]), turned in place.
inline void rotate_strided(float* first, float* second, std::size_t step, const float* cos,
                           const float* sin, std::size_t count) {
    std::array<float, lanes> a{};
    std::array<float, lanes> b{};
    for (std::size_t i = 0; i < count; ++i) {
        a[i] = first[i * step];
        b[i] = second[i * step];
    }
    const auto [turned_a, turned_b] =
        rotate(batch::load_unaligned(a.data()), batch::load_unaligned(b.data()),
               load_partial(cos, count, 0.0F), load_partial(sin, count, 0.0F));
    turned_a.store_unaligned(a.data());
    turned_b.store_unaligned(b.data());
    for (std::size_t i = 0; i < count; ++i) {
        first[i * step] = a[i];
        second[i * step] = b[i];
    }
}

/// `lanes` pairs that stand side by side, turned in place.
inline void rotate_pairs(float* at, const float* cos, const float* sin) {
    const batch x = batch::load_unaligned(at);
    const batch y = batch::load_unaligned(at + lanes);
    const auto [a, b] = rotate(unzip<0>(x, y), unzip<1>(x, y), batch::load_unaligned(cos),
                               batch::load_unaligned(sin));
    zip<0>(a, b).store_unaligned(at);
    zip<lanes / 2>(a, b).store_unaligned(at + lanes);
}

}  // namespace detail

XLENS_API void rope(std::span<float> head, std::span<const float> cos, std::span<const float> sin,
                    rope_style style) {
    const std::size_t n = cos.size();
    if (n == 0) { return; }
    const bool halves = style == rope_style::halves;
    float* const first = head.data();
    float* const second = halves ? first + n : first + 1;
    const std::size_t step = halves ? 1 : 2;
    std::size_t i = 0;
    if (halves) {
        for (; i + lanes <= n; i += lanes) {
            const auto [a, b] =
                detail::rotate(batch::load_unaligned(first + i), batch::load_unaligned(second + i),
                               batch::load_unaligned(&cos[i]), batch::load_unaligned(&sin[i]));
            a.store_unaligned(first + i);
            b.store_unaligned(second + i);
        }
    } else {
        for (; i + lanes <= n; i += lanes) {
            detail::rotate_pairs(first + 2 * i, &cos[i], &sin[i]);
        }
    }
    for (; i < n; i += lanes) {
        detail::rotate_strided(first + i * step, second + i * step, step, &cos[i], &sin[i],
                               std::min(lanes, n - i));
    }
}
#endif

}  // namespace kernels
}  // namespace xlens
