// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/parallel.hpp>
#include <xlens/core/words.hpp>
#include <xlens/kernels/lanes.hpp>
#include <xlens/storage/rows.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace xlens::kernels {

/// Rows rounded to 8-bit integers, 32 elements to a scale: x_i ≈ d·q_i with d = max|x|/127 of the
/// 32, so that an element is off by at most d/2. What integer products read.
class quantised_rows {
public:
    static constexpr std::size_t block = 32;

    /// x (T, n), n a multiple of 32. The scale of a block with a NaN or an
    /// infinity is a NaN, which its products become.
    explicit quantised_rows(rows<const float> x)
        : m_width(x.width()),
          m_codes(x.count() * x.width()),
          m_scales(x.count() * x.width() / block),
          m_sums(m_scales.size()) {
        parallel_for(x.count(), 4 * m_width, [&](std::size_t t) {
            for (std::size_t b = 0; b < m_width / block; ++b) {
                round_block(x[t].subspan(b * block, block), t * m_width / block + b);
            }
        });
    }

    [[nodiscard]] const std::int8_t* codes(std::size_t t) const { return &m_codes[t * m_width]; }
    /// d of every block of row t.
    [[nodiscard]] const float* scales(std::size_t t) const {
        return &m_scales[t * m_width / block];
    }
    /// d·Σ q_i of every block of row t.
    [[nodiscard]] const float* sums(std::size_t t) const { return &m_sums[t * m_width / block]; }

private:
    void round_block(std::span<const float> x, std::size_t b) {
        batch largest(0.0F);
        batch unlike(0.0F);  // not 0 where there is a NaN or an infinity
        for (std::size_t i = 0; i < block; i += lanes) {
            const batch v = batch::load_unaligned(&x[i]);
            largest = xsimd::max(largest, xsimd::abs(v));
            unlike += v * batch(0.0F);
        }
        const bool finite = xsimd::all(unlike == batch(0.0F));
        const float scale = finite ? maximum_lane(largest) / 127.0F : NAN;
        const batch inverse(scale > 0.0F ? 1.0F / scale : 0.0F);
        std::array<std::int32_t, block> codes;
        for (std::size_t i = 0; i < block; i += lanes) {
            const batch v = finite ? batch::load_unaligned(&x[i]) : batch(0.0F);
            to_integers(xsimd::nearbyint(v * inverse), &codes[i]);
        }
        std::int32_t sum = 0;
        for (std::size_t i = 0; i < block; ++i) {
            m_codes[b * block + i] = static_cast<std::int8_t>(codes[i]);
            sum += codes[i];
        }
        m_scales[b] = scale;
        m_sums[b] = scale * static_cast<float>(sum);
    }

    std::size_t m_width;
    std::vector<std::int8_t> m_codes;
    std::vector<float> m_scales;
    std::vector<float> m_sums;
};

}  // namespace xlens::kernels
