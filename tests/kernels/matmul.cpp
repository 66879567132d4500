// SPDX-License-Identifier: BSD-3-Clause
#define BOOST_TEST_MODULE matmul
#include <boost/mpl/list.hpp>
#include <boost/test/unit_test.hpp>

#include <xlens/core/parallel.hpp>
#include <xlens/kernels/column_norms.hpp>
#include <xlens/kernels/matmul.hpp>
#include <xlens/reference/column_norms.hpp>
#include <xlens/reference/matmul.hpp>

#include "support/rows_of_floats.hpp"
#include "support/stored_matrix.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

using namespace xlens;
using namespace xlens::test;

namespace {

// Of those that decode rows first (formats/rare.hpp) two: all are multiplied by the same code.
using formats = boost::mpl::list<f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q2_k, q3_k, q4_k,
                                 q5_k, q6_k, iq4_nl, iq4_xs, mxfp4, iq1_m, nvfp4>;

/// Stored shapes (rows, cols) around the tile sizes; cols a multiple of the block.
template <class Format>
std::vector<std::pair<std::size_t, std::size_t>> shapes() {
    const std::size_t b = Format::block;
    std::vector<std::pair<std::size_t, std::size_t>> out;
    for (const std::size_t rows : {1U, 7U, 8U, 9U, 17U}) {
        out.emplace_back(rows, b == 1 ? 1 : b);
        out.emplace_back(rows, b == 1 ? 67 : 3 * b);
    }
    if (b == 1) {
        for (std::size_t cols = 1; cols <= 2 * lanes + 3; ++cols) { out.emplace_back(5, cols); }
    }
    return out;
}

template <class Product, class Reference>
void check(std::size_t inputs, std::size_t outputs, double scale, Product product,
           Reference reference) {
    for (const std::size_t count : {1U, 2U, 3U, 4U, 5U, 33U, 135U}) {
        const auto x = random_row(count * inputs, 7);
        std::vector<float> y(count * outputs, NAN);
        std::vector<float> expected(count * outputs, NAN);
        const rows<const float> in(x.data(), count, inputs);
        product(in, rows<float>(y.data(), count, outputs));
        reference(in, rows<float>(expected.data(), count, outputs));
        const double limit = 1e-6 * scale * std::sqrt(static_cast<double>(inputs)) + 1e-6;
        for (std::size_t i = 0; i < y.size(); ++i) {
            BOOST_REQUIRE_SMALL(std::abs(double{y[i]} - double{expected[i]}), limit);
        }
    }
}

double largest(const auto& w) {
    double out = 0.0;
    std::vector<float> row(w.cols());
    for (std::size_t r = 0; r < w.rows(); ++r) {
        w.row(r, row);
        for (const float v : row) { out = std::max(out, std::abs(double{v})); }
    }
    return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(products_equal_the_reference, Format, formats) {
    for (const auto& [stored_rows, stored_cols] : shapes<Format>()) {
        for (const bool transposed : {false, true}) {
            for (const std::size_t shift : {0U, 1U, 4U}) {
                const stored_matrix<Format> stored(stored_rows, stored_cols, 3, shift, transposed);
                const auto w = stored.view();
                const double scale = 8.0 * largest(w);
                // Its elements, which the case below compares one by one.
                std::vector<float> values(w.rows() * w.cols());
                for (std::size_t r = 0; r < w.rows(); ++r) {
                    w.row(r, std::span(values).subspan(r * w.cols(), w.cols()));
                }
                const auto elements = matrix_of(values, w.rows(), w.cols());
                check(
                    w.cols(), w.rows(), scale, [&](auto x, auto y) { kernels::matmul(w, x, y); },
                    [&](auto x, auto y) { reference::matmul(elements, x, y); });
                check(
                    w.rows(), w.cols(), scale,
                    [&](auto x, auto y) { kernels::matmul_transposed(w, x, y); },
                    [&](auto x, auto y) { reference::matmul_transposed(elements, x, y); });
            }
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(bits_do_not_depend_on_batch_threads_or_alignment, Format, formats) {
    const std::size_t cols = Format::block == 1 ? 579 : 3 * Format::block;
    const std::size_t count = 9;
    for (const bool transposed : {false, true}) {
        const stored_matrix<Format> stored(203, cols, 5, 0, transposed);
        const stored_matrix<Format> moved(203, cols, 5, 3, transposed);
        const auto w = stored.view();
        const auto x = random_row(count * w.cols(), 11);
        std::vector<float> together(count * w.rows());
        set_threads(1);
        kernels::matmul(w, {x.data(), count, w.cols()}, {together.data(), count, w.rows()});
        for (const std::size_t threads : {1U, 2U, 3U}) {
            set_threads(threads);
            for (std::size_t t = 0; t < count; ++t) {
                const std::span<const float> all = x;
                shifted_row one(all.subspan(t * w.cols(), w.cols()), t);
                std::vector<float> y(w.rows());
                kernels::matvec(moved.view(), std::span<const float>(one.row()), std::span(y));
                BOOST_REQUIRE(same_bits(y, std::span(together).subspan(t * w.rows(), w.rows())));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(rows_columns_and_norms_agree_with_the_elements, Format, formats) {
    const std::size_t cols = Format::block == 1 ? 70 : 2 * Format::block;
    for (const bool transposed : {false, true}) {
        const stored_matrix<Format> stored(19, cols, 9, 1, transposed);
        const auto w = stored.view();
        std::vector<float> norms(w.cols());
        kernels::column_norms(w, norms);
        std::vector<float> expected(w.cols());
        reference::column_norms(w, expected);
        std::vector<float> row(w.cols());
        std::vector<float> column(w.rows());
        for (std::size_t c = 0; c < w.cols(); ++c) {
            BOOST_REQUIRE_CLOSE(norms[c], expected[c], 1e-3F);
            w.column(c, column);
            for (std::size_t r = 0; r < w.rows(); ++r) { BOOST_REQUIRE_EQUAL(column[r], w(r, c)); }
        }
        for (std::size_t r = 0; r < w.rows(); ++r) {
            w.row(r, row);
            for (std::size_t c = 0; c < w.cols(); ++c) { BOOST_REQUIRE_EQUAL(row[c], w(r, c)); }
        }
    }
}

BOOST_AUTO_TEST_CASE(groups_of_rows_are_views) {
    std::vector<float> values(24 * 3);
    for (std::size_t i = 0; i < values.size(); ++i) { values[i] = static_cast<float>(i); }
    const auto w = matrix_of(values, 24, 3);
    const auto middle = w.slice_rows(5, 4);
    BOOST_TEST(middle.rows() == 4U);
    BOOST_TEST(middle(0, 1) == w(5, 1));
    // Two heads of 4: key rows stand behind each head's query rows.
    const auto keys = w.group_rows({4, 4, 12, 8});
    for (const auto& [ours, theirs] : {std::pair{0U, 4U}, {3U, 7U}, {4U, 16U}, {7U, 19U}}) {
        BOOST_TEST(keys(ours, 2) == w(theirs, 2));
    }
    const auto transposed = w.transpose();
    BOOST_TEST(transposed.rows() == 3U);
    BOOST_TEST(transposed.slice_rows(1, 2)(1, 9) == w(9, 2));
}

BOOST_AUTO_TEST_CASE(any_matrix_gives_the_bits_of_the_matrix_it_holds) {
    const stored_matrix<q4_1> stored(64, 96, 21);
    const any_matrix any = stored.view();
    const auto x = random_row(96, 2);
    std::vector<float> a(64);
    std::vector<float> b(64);
    kernels::matvec(stored.view(), std::span(x), std::span(a));
    kernels::matvec(any, std::span(x), std::span(b));
    BOOST_TEST(same_bits(a, b));
    BOOST_TEST(any.format_name() == "q4_1");
}

BOOST_AUTO_TEST_CASE(a_matrix_of_nothing_has_nothing) {
    const any_matrix none;
    kernels::column_norms(none, {});
    kernels::matvec(none, {}, {});
    kernels::matvec_transposed(none, {}, {});
    BOOST_TEST(none.transpose().slice_rows(0, 0).rows() == 0U);
}
