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

/// A divisor for each frequency: GGUF's tensor rope_freqs.weight.
struct rope_divisors {
    std::vector<float> values;
};

using rope_scaling = std::variant<std::monostate, rope_linear, rope_llama3, rope_divisors>;

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

    /// cos_i = cos(position·f_i) and sin_i alike, of n/2 elements each.
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

    std::vector<float> m_frequencies;
};

#if XLENS_DEFINES(kernels)
XLENS_API rope_table::rope_table(std::size_t rotary_dims, float theta,
                                 const rope_scaling& scaling) {
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
    return {xsimd::fnma(b, sin, a * cos), xsimd::fma(a, sin, b * cos)};
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
    }
    for (; i < n; i += lanes) {
        detail::rotate_strided(first + i * step, second + i * step, step, &cos[i], &sin[i],
                               std::min(lanes, n - i));
    }
}
#endif

}  // namespace kernels
}  // namespace xlens
