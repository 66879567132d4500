// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <xlens/core/unroll.hpp>
#include <xlens/kernels/blocking.hpp>
#include <xlens/kernels/integer_sums.hpp>
#include <xlens/kernels/prefetch.hpp>
#include <xlens/kernels/quantised_rows.hpp>
#include <xlens/kernels/scratch.hpp>

#include <cstddef>
#include <cstdint>

// Rows of weights whose codes are taken apart, to what is the same for all formats, for integer
// products of many positions.

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

}  // namespace xlens::kernels::detail

#endif
