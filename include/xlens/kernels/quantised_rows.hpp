// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/aligned.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/words.hpp>
#include <xlens/kernels/lanes.hpp>
#include <xlens/storage/rows.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

namespace xlens::kernels {

/// Rows rounded to 8-bit integers, 32 elements to a scale: x_i ≈ d·q_i with d = max|x|/127 of the
/// 32, so that an element is off by at most d/2. What integer products read, four blocks at a time:
/// 16 codes of each, then the other 16 of each; where a row has no more blocks, zeros.
class quantised_rows {
public:
    static constexpr std::size_t block = 32;
    static constexpr std::size_t blocks_a_group = 4;
    static constexpr std::size_t group = blocks_a_group * block;
    static constexpr std::size_t scales_a_group = 2 * blocks_a_group;  ///< (d, d·Σ q) of each block

    /// x (T, n), n a multiple of 32. The scale of a block with a NaN or an
    /// infinity is a NaN, which its products become.
    explicit quantised_rows(rows<const float> x)
        : m_groups((x.width() + group - 1) / group),
          m_codes(x.count() * codes_a_row()),
          m_scales(x.count() * scales_a_row()) {
        parallel_for(x.count(), 4 * x.width(), [&](std::size_t t) {
            for (std::size_t b = 0; b < x.width() / block; ++b) {
                round_block(x[t].subspan(b * block, block), &m_codes[code_at(t, b, 0)],
                            &m_scales[scale_at(t, b)]);
            }
        });
    }

    [[nodiscard]] std::size_t groups() const { return m_groups; }
    // From row to row there is a cache line more, so that rows of 4,096 elements, of which eight
    // are read at once, do not all fall to the same few sets of level 1.
    [[nodiscard]] std::size_t codes_a_row() const { return m_groups * group + cache_line; }
    [[nodiscard]] std::size_t scales_a_row() const {
        return m_groups * scales_a_group + cache_line / sizeof(float);
    }
    [[nodiscard]] const std::int8_t* codes(std::size_t t) const {
        return &m_codes[t * codes_a_row()];
    }
    [[nodiscard]] const float* scales(std::size_t t) const { return &m_scales[t * scales_a_row()]; }

    /// q of element i of row t; d and d·Σ q of its block b.
    [[nodiscard]] std::int8_t code(std::size_t t, std::size_t i) const {
        return m_codes[code_at(t, i / block, i % block)];
    }
    [[nodiscard]] float scale(std::size_t t, std::size_t b) const {
        return m_scales[scale_at(t, b)];
    }
    [[nodiscard]] float sum(std::size_t t, std::size_t b) const {
        return m_scales[scale_at(t, b) + 1];
    }

private:
    static constexpr std::size_t half = block / 2;

    /// Element i of block b of row t.
    [[nodiscard]] std::size_t code_at(std::size_t t, std::size_t b, std::size_t i) const {
        return t * codes_a_row() + b / blocks_a_group * group + i / half * (group / 2) +
               b % blocks_a_group * half + i % half;
    }
    [[nodiscard]] std::size_t scale_at(std::size_t t, std::size_t b) const {
        return t * scales_a_row() + 2 * b;
    }

    static void round_block(std::span<const float> x, std::int8_t* codes, float* scale_and_sum) {
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
        batch sum(0.0F);  // exact: at most 32·127
        std::array<std::int32_t, block> all;
        for (std::size_t i = 0; i < block; i += lanes) {
            const batch v = finite ? batch::load_unaligned(&x[i]) : batch(0.0F);
            const batch q = xsimd::nearbyint(v * inverse);
            sum += q;
            to_integers(q, &all[i]);
        }
        for (std::size_t i = 0; i < half; ++i) {
            codes[i] = static_cast<std::int8_t>(all[i]);
            codes[group / 2 + i] = static_cast<std::int8_t>(all[half + i]);
        }
        scale_and_sum[0] = scale;
        scale_and_sum[1] = scale * sum_lanes(sum);
    }

    std::size_t m_groups;
    aligned_vector<std::int8_t> m_codes;
    aligned_vector<float> m_scales;
};

}  // namespace xlens::kernels
