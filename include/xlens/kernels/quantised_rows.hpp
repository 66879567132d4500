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

#include <algorithm>
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
          m_codes(make_aligned_for_overwrite<std::int8_t>(x.count() * m_layout.codes_a_row())),
          m_floats(make_aligned_for_overwrite<float>(x.count() * m_layout.floats_a_row())) {
        if (m_layout.reads_missing_blocks()) {
            std::fill_n(m_codes.get(), x.count() * m_layout.codes_a_row(), std::int8_t{0});
            std::fill_n(m_floats.get(), x.count() * m_layout.floats_a_row(), 0.0F);
        }
        parallel_for(x.count(), 4 * x.width(), [&](std::size_t t) { round_row(x[t], t); });
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

    /// Blocks whose halves have a lane each.
    static constexpr std::size_t together = lanes / 2;
    static constexpr std::size_t batches = block / lanes;
    static constexpr std::array<float, block> none{};

    void round_row(std::span<const float> x, std::size_t t) {
        const std::size_t blocks = x.size() / block;
        std::size_t b = 0;
        for (; b + together <= blocks; b += together) {
            round_blocks<together>(&x[b * block], t, b);
        }
        for (; b < blocks; ++b) { round_blocks<1>(&x[b * block], t, b); }
    }

    /// N blocks of row t from b on. One with a NaN or an infinity has codes of 0.
    template <std::size_t N>
    void round_blocks(const float* x, std::size_t t, std::size_t b) {
        std::array<batch, N> largest;
        std::array<batch, N> unlike;  // not 0 where there is a NaN or an infinity
        unrolled<N>([&](auto j) XLENS_INLINE {
            largest[j] = batch(0.0F);
            unlike[j] = batch(0.0F);
            unrolled<batches>([&](auto i) XLENS_INLINE {
                const batch v = batch::load_unaligned(x + j * block + i * lanes);
                largest[j] = xsimd::max(largest[j], xsimd::abs(v));
                unlike[j] += v * batch(0.0F);
            });
        });
        const batch maxima =
            fold(largest, [](const batch& u, const batch& v) { return xsimd::max(u, v); });
        batch scale = maxima / batch(127.0F);
        if (!xsimd::all(fold(unlike) == batch(0.0F))) {
            if constexpr (N > 1) {
                for (std::size_t j = 0; j < N; ++j) { round_blocks<1>(x + j * block, t, b + j); }
                return;
            }
            scale = batch(NAN);
            x = none.data();
        }
        const batch inverse = xsimd::select(scale > batch(0.0F), batch(1.0F) / scale, batch(0.0F));
        std::array<float, lanes> scales;
        std::array<float, lanes> inverses;
        scale.store_unaligned(scales.data());
        inverse.store_unaligned(inverses.data());

        std::int8_t* const row = &m_codes[t * m_layout.codes_a_row()];
        std::array<batch, 2 * N> sums;  // exact: at most 16·127
        unrolled<N>([&](auto j) XLENS_INLINE {
            sums[2 * j] = sums[2 * j + 1] = batch(0.0F);
            unrolled<batches>([&](auto i) XLENS_INLINE {
                constexpr std::size_t first = i * lanes;
                const batch v = batch::load_unaligned(x + j * block + first);
                const batch q = xsimd::nearbyint(v * batch(inverses[j]));
                sums[2 * j + first / half] += q;
                to_signed_bytes(q,
                                row + m_layout.code_at(b + j, first / half * half) + first % half);
            });
        });
        std::array<float, lanes> both;
        fold(sums).store_unaligned(both.data());
        float* const floats = &m_floats[t * m_layout.floats_a_row()];
        for (std::size_t j = 0; j < N; ++j) {
            put_floats(floats, b + j, scales[j], both[2 * j], both[2 * j + 1]);
        }
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
    aligned_array<std::int8_t> m_codes;
    aligned_array<float> m_floats;
};

}  // namespace xlens::kernels
