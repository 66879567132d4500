// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/integer_sums.hpp>
#include <xlens/kernels/prefetch.hpp>
#include <xlens/kernels/product.hpp>
#include <xlens/kernels/quantised_rows.hpp>
#include <xlens/kernels/scratch.hpp>
#include <xlens/storage/matrix_view.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

// Rows of weights whose codes have been taken apart, to what is the same for all formats, and their
// integer products with a few positions. More positions: integer_tile.hpp.

#if XLENS_INTEGER_DOTS

namespace xlens::kernels::detail {

/// A row taken apart: of each step the codes, a byte each, of its two groups of four blocks as
/// block_codes has them, and the floats of eight blocks: d, or d and m, once or of each half.
struct apart_row {
    std::int8_t* codes;
    float* floats;

    static constexpr std::size_t codes_a_step = 256;
    static constexpr std::size_t floats_a_step(product_kind kind) { return 8 * kind.floats(); }
};

/// A step of a row (step_of_row), taken apart.
template <class Step>
[[gnu::always_inline]] inline void put_apart(const Step& w, apart_row to) {
    unrolled<2>([&](auto g) XLENS_INLINE {
        const block_codes u = w.codes(g);
        store_codes(u.low, to.codes + 128 * g);
        store_codes(u.high, to.codes + 128 * g + 64);
    });
    const step_scales<Step::kind> scales = w.scales();
    unrolled<Step::kind.sums()>([&](auto i) XLENS_INLINE {
        _mm256_storeu_ps(to.floats, scales.d[i]);
        to.floats += 8;
        if constexpr (!Step::kind.has_sign()) {
            _mm256_storeu_ps(to.floats, scales.m[i]);
            to.floats += 8;
        }
    });
}
/// Takes a row apart. Asks for memory that comes later.
template <class Format>
[[gnu::noinline]] void take_apart(const stored_rows<1>& w, apart_row to) {
    each_step<Format>(w, [&](const auto& steps) XLENS_INLINE {
        put_apart(steps[0], to);
        prefetch(steps[0].at + blocking::integer_ahead, bytes_of_groups<Format>(2));
        to.codes += apart_row::codes_a_step;
        to.floats += apart_row::floats_a_step(kind_of<integer_codes<Format>>);
    });
}
using take_apart_row = void (*)(const stored_rows<1>&, apart_row);

/// How products of several positions with a format are made.
struct code_format {
    take_apart_row apart;
    void (*few)(const product& p, std::size_t first, std::size_t count, take_apart_row apart);
    void (*many)(const product& p, std::size_t first, std::size_t count, take_apart_row apart);
};

struct apart_buffer;

/// Room for `count` rows of x's width.
class apart_rows {
public:
    apart_rows(const quantised_rows& x, product_kind kind, std::size_t count)
        : m_codes(x.layout().steps() * apart_row::codes_a_step),
          m_floats(x.layout().steps() * apart_row::floats_a_step(kind)),
          m_begin(scratch<apart_buffer>(count * (m_codes / sizeof(float) + m_floats))),
          m_count(count) {}

    [[nodiscard]] apart_row operator[](std::size_t i) const {
        auto* codes = reinterpret_cast<std::int8_t*>(m_begin);
        return {codes + i * m_codes, m_begin + m_count * m_codes / sizeof(float) + i * m_floats};
    }

private:
    std::size_t m_codes;
    std::size_t m_floats;
    float* m_begin;
    std::size_t m_count;
};

template <product_kind kind>
[[gnu::always_inline]] inline step_scales<kind> load_step_scales(const float* from) {
    step_scales<kind> out;
    unrolled<kind.sums()>([&](auto i) XLENS_INLINE {
        out.d[i] = _mm256_loadu_ps(from);
        from += 8;
        if constexpr (!kind.has_sign()) {
            out.m[i] = _mm256_loadu_ps(from);
            from += 8;
        }
    });
    return out;
}
[[gnu::always_inline]] inline block_codes load_codes(const std::int8_t* from) {
    return {load_inputs(from), load_inputs(from + 64)};
}

/// Rows of a batch, taken apart.
using apart_of_batch = of_rows<apart_row>;

/// sums[p]: the lanes of ⟨w, x_(t + p)⟩.
template <product_kind kind, std::size_t P>
[[gnu::always_inline]] inline void lanes_of_few(apart_of_batch w, const quantised_rows& x,
                                                std::size_t t, batch (&sums)[4]) {
    const std::size_t codes_a_row = x.layout().codes_a_row();
    const std::size_t floats_a_row = x.layout().floats_a_row();
    step_of_inputs q(x, t);
    for (std::size_t step = 0; step < x.layout().steps(); ++step) {
        of_rows<step_scales<kind>> rows;
        unrolled<rows_a_batch>([&](auto r)
                                   XLENS_INLINE { rows[r] = load_step_scales<kind>(w[r].floats); });
        const scales_of_rows<kind> scales = side_by_side<kind>(rows);
        unrolled<P>([&](auto p) XLENS_INLINE {
            step_of_inputs of_p = q;
            of_p.codes += p * codes_a_row;
            of_p.floats += p * floats_a_row;
            of_rows<group_sums<kind>> front;
            of_rows<group_sums<kind>> back;
            unrolled<rows_a_batch>([&](auto r) XLENS_INLINE {
                front[r] = group_sums<kind>(load_codes(w[r].codes), of_p.codes);
                back[r] = group_sums<kind>(load_codes(w[r].codes + 128), of_p.codes + 128);
            });
            sums[p] = add_step<kind>(sums[p], front, back, scales, of_p);
        });
        q.advance();
        unrolled<rows_a_batch>([&](auto r) XLENS_INLINE {
            w[r].codes += apart_row::codes_a_step;
            w[r].floats += apart_row::floats_a_step(kind);
        });
    }
}

/// y(t + p, r + i) of P positions and `count` rows taken apart.
template <product_kind kind, std::size_t P>
[[gnu::noinline]] void meet_few(const apart_of_batch& w, const product& p, std::size_t t,
                                std::size_t r, std::size_t count) {
    batch sums[4] = {};
    lanes_of_few<kind, P>(w, *p.quantised, t, sums);
    std::array<float, 4 * rows_a_batch> out;
    sum_rows(sums, out.data());
    for (std::size_t i = 0; i < P; ++i) {
        for (std::size_t j = 0; j < count; ++j) { p.y[t + i][r + j] = out[4 * j + i]; }
    }
}

/// y(t, r) = ⟨S_r, x_t⟩ in integers of a few positions and `count` stored rows.
template <product_kind kind>
void integer_dots_of_few(const product& p, std::size_t first, std::size_t count,
                         take_apart_row apart) {
    const apart_rows room(*p.quantised, kind, rows_a_batch);
    const std::size_t end = first + count;
    stored_rows<1> row(p.weights, end - 1);
    for (std::size_t r = first; r < end; r += rows_a_batch) {
        apart_of_batch w;
        for (std::size_t i = 0; i < rows_a_batch; ++i) {
            w[i] = room[i];
            row.move_to(p.weights, r + i, end - 1);
            apart(row, w[i]);
        }
        const std::size_t some = std::min(rows_a_batch, end - r);
        std::size_t t = 0;
        for (; t + 4 <= p.x.count(); t += 4) { meet_few<kind, 4>(w, p, t, r, some); }
        for (; t + 2 <= p.x.count(); t += 2) { meet_few<kind, 2>(w, p, t, r, some); }
        for (; t < p.x.count(); ++t) { meet_few<kind, 1>(w, p, t, r, some); }
    }
}

}  // namespace xlens::kernels::detail

#endif
