// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/aligned.hpp>
#include <xlens/core/simd.hpp>
#include <xlens/core/unroll.hpp>
#include <xlens/core/words.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/fold.hpp>
#include <xlens/kernels/prefetch.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

// Products of 16-bit codes, added up in 32 bits: what lens/coded_vocabulary.hpp looks over
// a vocabulary with. One instruction multiplies and adds twice as many codes as an f32 one does
// numbers.

#if defined(__AVX512BW__) || (defined(__AVX2__) && !defined(__AVX512F__))
#define XLENS_SHORT_DOTS 1
#include <immintrin.h>
#else
#define XLENS_SHORT_DOTS 0
#endif

namespace xlens::kernels {

/// Rows of 16-bit codes, filled up with zeros to whole cache lines.
class short_rows {
public:
    short_rows(std::size_t count, std::size_t width)
        : m_count(count),
          m_stride((width + line - 1) / line * line),
          m_codes(count * m_stride, std::int16_t{0}) {}

    [[nodiscard]] std::size_t count() const { return m_count; }
    /// Codes of a row, zeros included.
    [[nodiscard]] std::size_t stride() const { return m_stride; }
    [[nodiscard]] std::int16_t* row(std::size_t i) { return m_codes.data() + i * m_stride; }
    [[nodiscard]] const std::int16_t* row(std::size_t i) const {
        return m_codes.data() + i * m_stride;
    }

    /// Rows [first, first + count), to be asked for; those that are there.
    [[nodiscard]] coming_rows coming(std::size_t first, std::size_t count) const {
        const std::size_t begin = std::min(first, m_count);
        const std::size_t bytes = m_stride * sizeof(std::int16_t);
        return {reinterpret_cast<const std::byte*>(row(begin)), std::min(count, m_count - begin),
                bytes, bytes};
    }

private:
    static constexpr std::size_t line = cache_line / sizeof(std::int16_t);

    std::size_t m_count;
    std::size_t m_stride;
    aligned_vector<std::int16_t> m_codes;
};

/// Rows of W and vectors that meet in registers: as many sums as fold into one batch, which with
/// AVX2 leaves registers for a product, since it is no part of the addition.
inline constexpr std::size_t short_block_rows = 4;
inline constexpr std::size_t short_block_vectors = lanes / short_block_rows;
/// Vectors that stay in level 1 while the rows pass by.
inline constexpr std::size_t short_tile_vectors = 16;

namespace detail {

using short_lanes [[gnu::vector_size(4 * lanes)]] = std::int16_t;

[[gnu::always_inline]] inline short_lanes load_shorts(const std::int16_t* at) {
    return *reinterpret_cast<const short_lanes*>(at);
}

/// Lane l = sum_l + a_(2l)·b_(2l) + a_(2l + 1)·b_(2l + 1).
[[gnu::always_inline]] inline word_lanes add_pairs(const word_lanes& sum, const short_lanes& a,
                                                   const short_lanes& b) {
#if XLENS_SHORT_DOTS && defined(__AVX512VNNI__)
    return reinterpret_cast<word_lanes>(_mm512_dpwssd_epi32(reinterpret_cast<__m512i>(sum),
                                                            reinterpret_cast<__m512i>(a),
                                                            reinterpret_cast<__m512i>(b)));
#elif XLENS_SHORT_DOTS && defined(__AVX512BW__)
    return sum + reinterpret_cast<word_lanes>(
                     _mm512_madd_epi16(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif XLENS_SHORT_DOTS && defined(__AVXVNNI__)
    return reinterpret_cast<word_lanes>(_mm256_dpwssd_avx_epi32(reinterpret_cast<__m256i>(sum),
                                                                reinterpret_cast<__m256i>(a),
                                                                reinterpret_cast<__m256i>(b)));
#elif XLENS_SHORT_DOTS
    return sum + reinterpret_cast<word_lanes>(
                     _mm256_madd_epi16(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#else
    word_lanes out = sum;
    for (std::size_t l = 0; l < lanes; ++l) {
        out[l] += static_cast<std::uint32_t>(a[2 * l] * b[2 * l] + a[2 * l + 1] * b[2 * l + 1]);
    }
    return out;
#endif
}

/// y(p, r) ≈ ⟨w_r, x_p⟩ for a block of rows and vectors, each `stride` codes.
[[gnu::always_inline]] inline void short_block(const std::int16_t* w, const std::int16_t* x,
                                               std::size_t stride, rows<float> y) {
    constexpr std::size_t R = short_block_rows;
    constexpr std::size_t P = short_block_vectors;
    std::array<word_lanes, R * P> sum;
    unrolled<R * P>([&](auto i) XLENS_INLINE { sum[i] = word_lanes{}; });
    for (std::size_t i = 0; i < stride; i += 2 * lanes) {
        std::array<short_lanes, R> wv;
        unrolled<R>([&](auto r) XLENS_INLINE {
            wv[r] = load_shorts(w + r * stride + i);
            keep_in_register(wv[r]);
        });
        unrolled<P>([&](auto p) XLENS_INLINE {
            short_lanes xv = load_shorts(x + p * stride + i);
            keep_in_register(xv);
            unrolled<R>([&](auto r) XLENS_INLINE {
                sum[p * R + r] = add_pairs(sum[p * R + r], wv[r], xv);
            });
        });
    }
    std::array<batch, R * P> sums;
    unrolled<R * P>([&](auto i) XLENS_INLINE { sums[i] = to_floats(sum[i]); });
    std::array<float, lanes> out;
    fold(sums).store_unaligned(out.data());
    unrolled<P>([&](auto p) XLENS_INLINE { std::copy_n(out.data() + p * R, R, y[p].data()); });
}

}  // namespace detail

/// y(p, r) ≈ ⟨w_(first + r), x_p⟩ for y.width() rows of w and all vectors x; both numbers are whole
/// blocks. A lane's sum is exact where ‖w_r‖·‖x_p‖ < 2^31, which then no part of it reaches; as
/// floats sums are off by 2⁻²²·‖w_r‖·‖x_p‖ at most. Meanwhile `next` is asked for. On the calling
/// thread. Not inlined: amid a large function g++ 12 keeps a block's pointers and sums in memory.
[[gnu::noinline]] inline void short_products(const short_rows& w, std::size_t first,
                                             const short_rows& x, rows<float> y,
                                             coming_rows next = {}) {
    constexpr std::size_t P = short_block_vectors;
    const std::size_t blocks = y.width() / short_block_rows * (x.count() / P);
    const std::size_t lines = (next.lines() + blocks - 1) / blocks;
    for (std::size_t begin = 0; begin < x.count(); begin += short_tile_vectors) {
        const std::size_t end = std::min(begin + short_tile_vectors, x.count());
        for (std::size_t r = 0; r < y.width(); r += short_block_rows) {
            for (std::size_t p = begin; p < end; p += P) {
                next.prefetch_some(lines);
                detail::short_block(w.row(first + r), x.row(p), w.stride(),
                                    y.subrows(p, P).columns(r, short_block_rows));
            }
        }
    }
}

}  // namespace xlens::kernels
