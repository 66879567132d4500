// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/simd.hpp>
#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/fold.hpp>
#include <xlens/kernels/lanes.hpp>
#include <xlens/kernels/prefetch.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/storage/cache_rows.hpp>
#include <xlens/storage/matrix.hpp>
#include <xlens/storage/rows.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <span>

// Products in which a stored row meets a whole input: y(t, r) = ⟨S_r, x_t⟩. Every output is summed
// in one order, whichever of the loops below computes it: lane l of one batch takes the elements l,
// l + lanes, ... of blocking::depth elements, the lanes are folded, and the depths are added up. So
// a prefill has the bits of a decode.

namespace xlens::kernels {

namespace detail {

/// out[i] = the sum of the lanes of sums[i].
template <std::size_t N>
[[gnu::always_inline]] inline void fold_to(const std::array<batch, N>& sums, float* out) {
    constexpr std::size_t whole = N / lanes * lanes;
    unrolled<N / lanes>([&](auto part) XLENS_INLINE {
        std::array<batch, lanes> some;
        unrolled<lanes>([&](auto i) XLENS_INLINE { some[i] = sums[part * lanes + i]; });
        fold(some).store_unaligned(out + part * lanes);
    });
    if constexpr (whole < N) {
        std::array<batch, std::bit_ceil(N - whole)> some;
        unrolled<some.size()>([&](auto i) XLENS_INLINE {
            if constexpr (whole + i < N) {
                some[i] = sums[whole + i];
            } else {
                some[i] = batch(0.0F);
            }
        });
        store_partial(fold(some), out + whole, N - whole);
    }
}

/// y := or += the first y.size() <= R values.
template <std::size_t R>
[[gnu::always_inline]] inline void put(const float* values, std::span<float> y, bool add) {
    if (!add && y.size() == R) {  // the common case, in few instructions
        std::memcpy(y.data(), values, R * sizeof(float));
        return;
    }
    for (std::size_t i = 0; i < y.size(); ++i) { y[i] = add ? y[i] + values[i] : values[i]; }
}

/// ⟨w_r, x_p⟩ over n elements for R rows and P positions, to y(first + p, r) for y.width() <= R.
template <std::size_t R, std::size_t P>
[[gnu::always_inline]] inline void dot_block(const float* const* w, rows<const float> x,
                                             std::size_t n, rows<float> y) {
    std::array<const float*, R> in;
    std::array<const float*, P> with;
    unrolled<R>([&](auto r) XLENS_INLINE { in[r] = w[r]; });
    unrolled<P>([&](auto p) XLENS_INLINE { with[p] = x[p].data(); });
    std::array<batch, P * R> sum;
    unrolled<P * R>([&](auto i) XLENS_INLINE { sum[i] = batch(0.0F); });

    const auto step = [&](auto load) XLENS_INLINE {
        std::array<batch, R> wv;
        unrolled<R>([&](auto r) XLENS_INLINE {
            batch loaded = load(in[r]);
            keep_in_register(loaded);
            wv[r] = loaded;
        });
        unrolled<P>([&](auto p) XLENS_INLINE {
            batch xv = load(with[p]);
            if constexpr (!blocking::many_registers) { keep_in_register(xv); }
            unrolled<R>([&](auto r) XLENS_INLINE {
                sum[p * R + r] = multiply_add(wv[r], xv, sum[p * R + r]);
            });
        });
    };
    const std::size_t whole = n - n % lanes;
    for (std::size_t i = 0; i < whole; i += lanes) {
        step([i](const float* row) XLENS_INLINE { return batch::load_unaligned(row + i); });
    }
    if (whole < n) {
        step([whole, n](const float* row) { return load_partial(row + whole, n - whole, 0.0F); });
    }
    std::array<float, P * R> out;
    fold_to(sum, out.data());
    for (std::size_t p = 0; p < P; ++p) { put<R>(out.data() + p * R, y[p], false); }
}

struct dot_tile_buffer;

/// Up to dot_tile_rows stored rows over some of their elements as f32; the missing ones repeat the
/// last, so that kernels need no special case.
class dot_tile {
public:
    /// For a few positions memory is asked for `ahead` rows further on. For many that is 0, and
    /// rows in the file that cross cache lines are copied.
    dot_tile(const matrix_view& w, std::size_t first_row, std::size_t count, std::size_t begin,
             std::size_t n, std::size_t ahead = 0)
        : m_count(count), m_n(n) {
        float* buffer = scratch<dot_tile_buffer>(blocking::dot_tile_rows * blocking::depth);
        for (std::size_t r = 0; r < count; ++r) {
            if (ahead > 0) {
                prefetch(w.stored_row(first_row + r + ahead) + w.row_bytes(begin), w.row_bytes(n));
            }
            float* const own = buffer + r * blocking::depth;
            m_rows[r] = w.decoded(first_row + r, begin, n, own);
            if (ahead == 0 && !begins_cache_line(m_rows[r])) {
                std::copy_n(m_rows[r], n, own);
                m_rows[r] = own;
            }
        }
        std::fill_n(&m_rows[count], blocking::dot_rows_of_one, m_rows[count - 1]);
    }

    /// Rows of a cache, up to dot_tile_rows.
    explicit dot_tile(const cache_rows& w) : m_count(w.count()), m_n(w.width()) {
        const std::size_t padded = (m_n + lanes - 1) / lanes * lanes;
        float* buffer = scratch<dot_tile_buffer>(blocking::dot_tile_rows * padded);
        for (std::size_t r = 0; r < m_count; ++r) { m_rows[r] = w.decoded(r, buffer + r * padded); }
        std::fill(&m_rows[m_count], m_rows.data() + m_rows.size(), m_rows[m_count - 1]);
    }

    /// y(t, r) := or += ⟨row r, x_t⟩, x (T, n), y (T, count). Sums are gathered before they go to
    /// y, whose rows can be a page apart. Meanwhile `next` is asked for.
    void meet(rows<const float> x, rows<float> y, bool add, coming_rows next = {}) const {
        constexpr std::size_t P = blocking::dot_tile_positions;
        alignas(cache_line) std::array<float, P * blocking::dot_tile_rows> sums;
        for (std::size_t t = 0; t < x.count(); t += P) {
            const std::size_t some = std::min(P, x.count() - t);
            const rows<float> gathered(sums.data(), some, m_count, blocking::dot_tile_rows);
            meet_some(x.subrows(t, some), gathered, next);
            for (std::size_t p = 0; p < some; ++p) {
                put<blocking::dot_tile_rows>(gathered[p].data(), y[t + p], add);
            }
        }
    }

private:
    /// Runs of rows stay in level 1 while the positions pass by.
    void meet_some(rows<const float> x, rows<float> y, coming_rows& next) const {
        constexpr std::size_t P = blocking::dot_positions;
        const std::size_t whole = x.count() - x.count() % P;
        if (whole > 0) {
            const std::size_t blocks =
                (m_count + blocking::dot_rows - 1) / blocking::dot_rows * whole / P;
            const std::size_t lines = (next.lines() + blocks - 1) / blocks;
            for (std::size_t r = 0; r < m_count; r += blocking::dot_rows) {
                for (std::size_t t = 0; t < whole; t += P) {
                    next.prefetch_some(lines);
                    meet_block<blocking::dot_rows, P>(x, y, t, r);
                }
            }
        }
        switch (x.count() - whole) {
            case 3: return meet_rest<blocking::dot_rows, 3>(x, y, whole);
            case 2: return meet_rest<blocking::dot_rows, 2>(x, y, whole);
            case 1:
                return m_count <= blocking::dot_rows
                           ? meet_rest<blocking::dot_rows, 1>(x, y, whole)
                           : meet_rest<blocking::dot_rows_of_one, 1>(x, y, whole);
            default: return;
        }
    }
    template <std::size_t R, std::size_t P>
    void meet_rest(rows<const float> x, rows<float> y, std::size_t t) const {
        for (std::size_t r = 0; r < m_count; r += R) { meet_block<R, P>(x, y, t, r); }
    }
    template <std::size_t R, std::size_t P>
    [[gnu::always_inline]] void meet_block(rows<const float> x, rows<float> y, std::size_t t,
                                           std::size_t r) const {
        dot_block<R, P>(&m_rows[r], x.subrows(t, P), m_n,
                        y.subrows(t, P).columns(r, std::min(R, m_count - r)));
    }

    std::array<const float*, blocking::dot_tile_rows + blocking::dot_rows_of_one> m_rows{};
    std::size_t m_count;
    std::size_t m_n;
};

/// sum[p·R + r] += the products of x_p with the group of row r that begins `at` bytes into it,
/// batch by batch: row by row, or part by part where a group has several (in_parts of
/// storage/formats/code_bytes.hpp). All of a group that comes later is asked for: of a K-quant's
/// three or four cache lines one alone left products from memory at half their speed.
template <class Format, std::size_t R, std::size_t P>
[[gnu::always_inline]] inline void meet_group(const std::array<const std::byte*, R>& in,
                                              std::size_t at, std::size_t ahead,
                                              const std::array<const float*, P>& x,
                                              std::array<batch, R * P>& sum) {
    const auto add_to = [&](std::size_t r, std::size_t first) XLENS_INLINE {
        return [&, r, first](std::size_t k, const batch& wv) XLENS_INLINE {
            unrolled<P>([&](auto p) XLENS_INLINE {
                const batch xv = batch::load_unaligned(x[p] + (first + k) * lanes);
                sum[p * R + r] = multiply_add(wv, xv, sum[p * R + r]);
            });
        };
    };
    constexpr std::size_t bytes = matrix<Format>::row_bytes(group_elements<Format>);
    unrolled<R>([&](auto r) XLENS_INLINE { prefetch(in[r] + at + ahead, bytes); });
    if constexpr (requires { Format::parts; }) {
        std::array<decltype(Format::scales(in[0])), R> scales;
        unrolled<R>([&](auto r) XLENS_INLINE { scales[r] = Format::scales(in[r] + at); });
        unrolled<Format::parts>([&](auto g) XLENS_INLINE {
            constexpr std::size_t first = g * (Format::block / Format::parts / lanes);
            unrolled<R>([&](auto r) XLENS_INLINE {
                Format::template each_of_part<g>(in[r] + at, scales[r], add_to(r, first));
            });
        });
    } else {
        unrolled<R>([&](auto r) XLENS_INLINE { Format::each_batch(in[r] + at, add_to(r, 0)); });
    }
}

/// y(p, r) = ⟨w_r, x_p⟩ for P positions and y.width() <= R rows that begin at w[r], each weight
/// decoded in registers on its way into the sums. `ahead` bytes after each block, memory is asked
/// for.
template <class Format, std::size_t R, std::size_t P>
[[gnu::noinline]] void dots_in_registers(std::array<const std::byte*, R> in, std::size_t ahead,
                                         rows<const float> x, rows<float> y) {
    constexpr std::size_t group = group_elements<Format>;
    const std::size_t n = x.width();
    for (std::size_t begin = 0; begin < n; begin += blocking::depth) {
        const std::size_t end = std::min(n, begin + blocking::depth);
        const std::size_t whole = end - (end - begin) % group;
        std::array<batch, R * P> sum;
        unrolled<R * P>([&](auto i) XLENS_INLINE { sum[i] = batch(0.0F); });
        for (std::size_t i = begin; i < whole; i += group) {
            std::array<const float*, P> from;
            unrolled<P>([&](auto p) XLENS_INLINE { from[p] = x[p].data() + i; });
            meet_group<Format, R, P>(in, matrix<Format>::row_bytes(i), ahead, from, sum);
        }
        if constexpr (Format::block == 1) {
            if (whole < end) {
                unrolled<R>([&](auto r) XLENS_INLINE {
                    const batch wv =
                        decode_rest<Format>(in[r] + matrix<Format>::row_bytes(whole), end - whole);
                    unrolled<P>([&](auto p) XLENS_INLINE {
                        const batch xv = load_partial(x[p].data() + whole, end - whole, 0.0F);
                        sum[p * R + r] = multiply_add(wv, xv, sum[p * R + r]);
                    });
                });
            }
        }
        std::array<float, R * P> out;
        fold_to(sum, out.data());
        for (std::size_t p = 0; p < P; ++p) { put<R>(out.data() + p * R, y[p], begin > 0); }
    }
}

}  // namespace detail
}  // namespace xlens::kernels
