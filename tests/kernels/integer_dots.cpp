// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE integer_dots
#include <boost/mpl/list.hpp>
#include <boost/test/unit_test.hpp>

#include <xlens/core/parallel.hpp>
#include <xlens/kernels/integer_dots.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/kernels/quantised_rows.hpp>
#include <xlens/reference/matmul.hpp>

#include "support/rows_of_floats.hpp"
#include "support/stored_matrix.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

using formats = boost::mpl::list<f32, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q2_k, q3_k, q4_k, q5_k,
                                 q6_k, iq4_nl, iq4_xs, mxfp4, nvfp4>;
using formats_in_integers =
    boost::mpl::list<q8_0, q4_0, q4_1, q5_0, q5_1, q3_k, q4_k, q5_k, q6_k, iq4_nl, iq4_xs, mxfp4>;

template <class Format>
std::vector<float> multiply(const matrix<Format>& w, const std::vector<float>& x, precision how) {
    const std::size_t count = x.size() / w.cols();
    std::vector<float> y(count * w.rows(), NAN);
    const rows<const float> in(x.data(), count, w.cols());
    kernels::matmul(any_matrix(w, how), in, {y.data(), count, w.rows()});
    return y;
}

/// ⟨w_r, x_t⟩ in double, and what the terms of the integer product sum up to in size: Σ |w·x|, but
/// per block at least the largest |w| of it, since a minimum is added for what stands above it.
template <class Format>
std::vector<std::pair<double, double>> products_and_sizes(const matrix<Format>& w,
                                                          const std::vector<float>& x) {
    std::vector<std::pair<double, double>> out;
    std::vector<float> row(w.cols());
    for (std::size_t t = 0; t < x.size() / w.cols(); ++t) {
        for (std::size_t r = 0; r < w.rows(); ++r) {
            w.row(r, row);
            double sum = 0.0;
            double size = 0.0;
            for (std::size_t b = 0; b < w.cols(); b += 32) {
                double largest = 0.0;
                double inputs = 0.0;
                for (std::size_t i = b; i < b + 32; ++i) {
                    const double v = x[t * w.cols() + i];
                    sum += row[i] * v;
                    largest = std::max(largest, std::abs(double{row[i]}));
                    inputs += std::abs(v);
                }
                size += largest * inputs;
            }
            out.emplace_back(sum, size);
        }
    }
    return out;
}

/// x as the integer product sees it.
std::vector<float> rounded(const std::vector<float>& x, std::size_t width) {
    const std::size_t count = x.size() / width;
    const kernels::quantised_rows q(rows<const float>(x.data(), count, width));
    std::vector<float> out(x.size());
    for (std::size_t t = 0; t < count; ++t) {
        for (std::size_t i = 0; i < width; ++i) {
            out[t * width + i] =
                q.scale(t, i / kernels::quantised_rows::block) * static_cast<float>(q.code(t, i));
        }
    }
    return out;
}

/// What kernels/integer_sums.hpp says of one stored row and position t, one number after another.
template <class Format>
float as_defined(const matrix<Format>& w, std::size_t r, const kernels::quantised_rows& x,
                 std::size_t t) {
    std::array<float, 8> lanes{};
    constexpr std::array<std::size_t, 8> lane_of{0, 1, 4, 5, 2, 3, 6, 7};
    for (std::size_t b = 0; b < w.cols() / 32; ++b) {
        const std::byte* at = w.stored_row(r) + b * Format::bytes;
        int dot = 0;
        for (std::size_t i = 0; i < 32; ++i) {
            int u = 0;
            if constexpr (std::is_same_v<Format, q8_0>) {
                u = static_cast<std::int8_t>(at[2 + i]);
            } else {
                u = std::to_integer<int>(at[4 + i % 16]) >> (i / 16 * 4) & 15;
            }
            dot += u * x.code(t, 32 * b + i);
        }
        float& sum = lanes[lane_of[b % 8]];
        sum = std::fma(static_cast<float>(dot), load_half(at) * x.scale(t, b), sum);
        if constexpr (std::is_same_v<Format, q4_1>) {
            sum = std::fma(load_half(at + 2), x.sum(t, b), sum);
        }
    }
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

using formats_written_out = boost::mpl::list<q4_1, q8_0>;

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(some_rows_have_the_bits_of_all, Format, formats) {
    const stored_matrix<Format> stored(70, 512, 3);
    const std::vector<float> x = random_row(512, 5);
    const std::vector<std::size_t> ids{69, 0, 7, 8, 9, 33, 7};
    for (const precision how : {precision::f32, precision::native}) {
        const any_matrix w(stored.view(), how);
        std::vector<float> all(w.rows());
        std::vector<float> some(ids.size());
        kernels::matvec(w, x, std::span(all));
        kernels::dot_some_rows(w, ids, x, some);
        for (std::size_t i = 0; i < ids.size(); ++i) { BOOST_TEST(some[i] == all[ids[i]]); }
    }
}

// The same on every processor that has integer products, whatever it multiplies with.
BOOST_AUTO_TEST_CASE_TEMPLATE(bits_are_those_of_the_definition, Format, formats_written_out) {
    if constexpr (kernels::has_integer_dots<Format>) {
        for (const std::size_t blocks : {1U, 3U, 5U, 8U, 18U, 20U}) {
            const std::size_t cols = 32 * blocks;
            const stored_matrix<Format> stored(45, cols, 7);
            for (const std::size_t count : {1U, 3U, 4U, 10U, 13U}) {
                const auto x = random_row(count * cols, 9);
                const auto y = multiply(stored.view(), x, precision::native);
                const kernels::quantised_rows q(rows<const float>(x.data(), count, cols));
                for (std::size_t i = 0; i < y.size(); ++i) {
                    BOOST_REQUIRE_EQUAL(y[i], as_defined(stored.view(), i % 45, q, i / 45));
                }
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(rows_are_rounded_to_half_a_step) {
    const std::size_t width = 96;
    auto x = random_row(3 * width, 5);
    for (std::size_t i = 32; i < 64; ++i) { x[i] = 0.0F; }
    x[70] = 1e-38F;
    const auto seen = rounded(x, width);
    const kernels::quantised_rows q(rows<const float>(x.data(), 3, width));
    for (std::size_t i = 0; i < x.size(); ++i) {
        const float step = q.scale(i / width, i % width / 32);
        BOOST_REQUIRE_LE(std::abs(seen[i] - x[i]), 0.5001F * step);
    }
    for (std::size_t t = 0; t < 3; ++t) {
        for (std::size_t b = 0; b < width / 32; ++b) {
            double sum = 0.0;
            for (std::size_t i = 0; i < 32; ++i) { sum += seen[t * width + b * 32 + i]; }
            BOOST_REQUIRE_SMALL(sum - q.sum(t, b), 1e-4);
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(equal_the_reference_of_the_rounded_rows, Format, formats) {
    // Blocks are taken four at a time: less than that, just that, and more.
    for (const auto& [rows_of_w, blocks] :
         {std::pair{1U, 1U}, {3U, 2U}, {4U, 3U}, {5U, 4U}, {50U, 5U}, {7U, 10U}, {8U, 12U}}) {
        const std::size_t cols = blocks * std::max<std::size_t>(Format::block, 32);
        const stored_matrix<Format> stored(rows_of_w, cols, 3, 1);
        for (const std::size_t count : {1U, 2U, 4U, 7U, 16U}) {
            const auto x = random_row(count * cols, 9);
            const auto y = multiply(stored.view(), x, precision::native);
            const auto seen = kernels::has_integer_dots<Format> ? rounded(x, cols) : x;
            const auto expected = products_and_sizes(stored.view(), seen);
            for (std::size_t i = 0; i < y.size(); ++i) {
                BOOST_REQUIRE_SMALL(double{y[i]} - expected[i].first, 2e-6 * expected[i].second);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(are_there_where_the_processor_helps, Format, formats_in_integers) {
    BOOST_TEST(kernels::has_integer_dots<Format> == (XLENS_INTEGER_DOTS == 1));
}

// Sums of the largest products, which a narrow register would not hold.
BOOST_AUTO_TEST_CASE_TEMPLATE(largest_codes_do_not_overflow, Format, formats_in_integers) {
    constexpr std::size_t cols = 512;
    for (const std::byte codes :
         {std::byte{0x00}, std::byte{0x7F}, std::byte{0x80}, std::byte{0xF7}, std::byte{0xFF}}) {
        std::vector<std::byte> bytes(matrix<Format>::row_bytes(cols), codes);
        stored_matrix<Format>::set_scales(bytes, 0x2000);  // 2^-7
        const matrix<Format> w(bytes.data(), 1, cols);
        for (const float sign : {1.0F, -1.0F}) {
            const std::vector<float> x(cols, sign);
            const auto [expected, size] = products_and_sizes(w, x)[0];
            BOOST_REQUIRE_SMALL(multiply(w, x, precision::native)[0] - expected, 2e-6 * size);
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(bits_do_not_depend_on_positions_or_threads, Format, formats) {
    const std::size_t cols = 7 * std::max<std::size_t>(Format::block, 32);
    const stored_matrix<Format> stored(103, cols, 5);
    const auto x = random_row(9 * cols, 11);
    set_threads(1);
    const auto together = multiply(stored.view(), x, precision::native);
    for (const std::size_t threads : {1U, 2U, 3U}) {
        set_threads(threads);
        for (std::size_t t = 0; t < 9; ++t) {
            const auto from = x.begin() + static_cast<std::ptrdiff_t>(t * cols);
            const auto alone = multiply(
                stored.view(), {from, from + static_cast<std::ptrdiff_t>(cols)}, precision::native);
            BOOST_REQUIRE(same_bits(alone, std::span(together).subspan(t * 103, 103)));
        }
    }
}

BOOST_AUTO_TEST_CASE(a_nan_or_an_infinity_becomes_a_nan) {
    const stored_matrix<q4_1> stored(5, 64, 3);
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        auto x = random_row(64, 9);
        x[40] = bad;
        for (const float y : multiply(stored.view(), x, precision::native)) {
            BOOST_TEST((kernels::has_integer_dots<q4_1> ? std::isnan(y) : !std::isfinite(y)));
        }
    }
}
