// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/aligned.hpp>
#include <xlens/core/parallel.hpp>
#include <xlens/core/unroll.hpp>
#include <xlens/core/words.hpp>
#include <xlens/kernels/fold.hpp>
#include <xlens/kernels/input_layout.hpp>
#include <xlens/kernels/lanes.hpp>
#include <xlens/storage/rows.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

namespace xlens::kernels {

/// Rows rounded to 8-bit integers, 32 elements to a scale: x_i ≈ d·q_i with d = max|x|/127 of the
/// 32, so that an element is off by at most d/2. What integer products read, in the order of
/// input_layout; where a row has no more blocks, zeros.
class quantised_rows {
public:
    static constexpr std::size_t block = 32;

    /// x (T, n), n a multiple of 32. The scale of a block with a NaN or an
    /// infinity is a NaN, which its products become.
    explicit quantised_rows(rows<const float> x)
        : m_layout(x.width() / block, x.count()),
          m_codes(x.count() * m_layout.codes_a_row()),
          m_floats(x.count() * m_layout.floats_a_row()) {
        parallel_for(x.count(), 4 * x.width(), [&](std::size_t t) {
            for (std::size_t b = 0; b < x.width() / block; ++b) {
                round_block(x[t].subspan(b * block, block), t, b);
            }
        });
    }

    [[nodiscard]] const input_layout& layout() const { return m_layout; }
    [[nodiscard]] const std::int8_t* codes(std::size_t t) const {
        return &m_codes[t * m_layout.codes_a_row()];
    }
    [[nodiscard]] const float* floats(std::size_t t) const {
        return &m_floats[t * m_layout.floats_a_row()];
    }

    /// q of element i of row t; d and d·Σ q of its block b.
    [[nodiscard]] std::int8_t code(std::size_t t, std::size_t i) const {
        return codes(t)[m_layout.code_at(i / block, i % block / half * half) + i % half];
    }
    [[nodiscard]] float scale(std::size_t t, std::size_t b) const {
        return floats(t)[m_layout.float_at(b, input_layout::scale)];
    }
    [[nodiscard]] float sum(std::size_t t, std::size_t b) const {
        return floats(t)[m_layout.float_at(b, input_layout::sum)];
    }

private:
    static constexpr std::size_t half = block / 2;

    void round_block(std::span<const float> x, std::size_t t, std::size_t b) {
        constexpr std::size_t batches = block / lanes;
        std::array<batch, batches> v;
        batch largest(0.0F);
        batch unlike(0.0F);  // not 0 where there is a NaN or an infinity
        unrolled<batches>([&](auto i) XLENS_INLINE {
            v[i] = batch::load_unaligned(&x[i * lanes]);
            largest = xsimd::max(largest, xsimd::abs(v[i]));
            unlike += v[i] * batch(0.0F);
        });
        const bool finite = xsimd::all(unlike == batch(0.0F));
        if (!finite) { v.fill(batch(0.0F)); }
        const float scale = finite ? maximum_lane(largest) / 127.0F : NAN;
        const batch inverse(scale > 0.0F ? 1.0F / scale : 0.0F);
        std::int8_t* const row = &m_codes[t * m_layout.codes_a_row()];
        std::array<batch, 2> sums{batch(0.0F), batch(0.0F)};  // exact: at most 16·127
        unrolled<batches>([&](auto i) XLENS_INLINE {
            constexpr std::size_t first = i * lanes;
            const batch q = xsimd::nearbyint(v[i] * inverse);
            sums[first / half] += q;
            to_signed_bytes(q, row + m_layout.code_at(b, first / half * half) + first % half);
        });
        std::array<float, lanes> both;
        fold(sums).store_unaligned(both.data());
        put_floats(&m_floats[t * m_layout.floats_a_row()], b, scale, both[0], both[1]);
    }
    void put_floats(float* row, std::size_t b, float scale, float first, float second) {
        const auto put = [&](input_layout::part what, float value) {
            row[m_layout.float_at(b, what)] = value;
        };
        put(input_layout::scale, scale);
        put(input_layout::sum, scale * (first + second));
        put(input_layout::first_sum, scale * first);
        put(input_layout::second_sum, scale * second);
        put(input_layout::raised_sum,
            std::bit_cast<float>(static_cast<std::int32_t>(128 * (first + second))));
    }

    input_layout m_layout;
    aligned_vector<std::int8_t> m_codes;
    aligned_vector<float> m_floats;
};

}  // namespace xlens::kernels
